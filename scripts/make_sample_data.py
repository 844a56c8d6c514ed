"""Makes the videos of sample_data/: bouncing digits, and fields of rain as a weather radar shows them.

The seed determines every frame.
"""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.opencv import cv2, silence
from convlstm_cli.video.writers import open_writer

SIZE = 64
"""Height and width of the frames in pixels."""
FRAMES = 40
FPS = 10.0
KINDS = ("mkv", "mp4", "webm", "avi", "gif", "npy", "images")
"""The file formats, which the clips of a family take in turn."""
CLIPS = 14

Image = NDArray[np.float32]
"""(SIZE, SIZE), values in [0, 1]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="seed of every clip (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("sample_data"), help="folder (default: sample_data)")
    arguments = parser.parse_args()

    for index, (family, generate) in enumerate((("digits", digits), ("rain", rain))):
        folder = arguments.output / family
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number in range(CLIPS):
            random = np.random.default_rng([arguments.seed, index, number])
            write(folder, f"{family}_{number + 1:02d}", KINDS[number % len(KINDS)], generate(random))
        print(f"{folder}: {CLIPS} clips of {FRAMES} frames")


def digits(random: np.random.Generator) -> Iterator[Image]:
    """Two digits at constant speed that bounce off the walls and pass through each other."""
    glyphs = [_glyph(str(digit), random) for digit in random.choice(10, 2, replace=False)]
    limits = np.array([[SIZE - side for side in glyph.shape] for glyph in glyphs])  # (2, y x)
    positions = random.uniform(0, limits)
    angles = random.uniform(0, 2 * np.pi, 2)
    speeds = random.uniform(2.0, 3.5, 2)
    velocities = (speeds * np.array([np.sin(angles), np.cos(angles)])).T
    for _ in range(FRAMES):
        frame = np.zeros((SIZE, SIZE), np.float32)
        for glyph, (y, x) in zip(glyphs, positions, strict=True):
            # Digits move by fractions of a pixel, so that slow and slanted motion is smooth.
            shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
            np.maximum(frame, cv2.warpAffine(glyph, shift, (SIZE, SIZE)), out=frame)
        yield frame
        positions += velocities
        bounced = (positions < 0) | (positions > limits)
        positions = np.where(positions < 0, -positions, np.where(positions > limits, 2 * limits - positions, positions))
        velocities[bounced] *= -1


def _glyph(text: str, random: np.random.Generator) -> Image:
    """A digit, cropped to its bounding box."""
    font, scale, thickness = cv2.FONT_HERSHEY_SIMPLEX, float(random.uniform(1.0, 1.25)), 3
    (width, height), baseline = cv2.getTextSize(text, font, scale, thickness)
    image = np.zeros((height + baseline + 2 * thickness, width + 2 * thickness), np.uint8)
    cv2.putText(image, text, (thickness, height + thickness), font, scale, 255, thickness, cv2.LINE_AA)
    left, top, width, height = cv2.boundingRect(image)
    return image[top : top + height, left : left + width].astype(np.float32) / np.float32(255)


def rain(random: np.random.Generator) -> Iterator[Image]:
    """Showers that drift and turn with the wind; each one grows and fades."""
    # The field is wider than the frame, so that new showers enter where old ones leave.
    wide = 3 * SIZE
    angle, speed = random.uniform(0, 2 * np.pi), random.uniform(2.0, 3.0)
    drift = speed * np.array([np.cos(angle), np.sin(angle)])  # pixels a frame, x y
    turn = random.choice([-1, 1]) * random.uniform(0.015, 0.03)  # radians a frame
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    count = 130
    centres = random.uniform(-wide / 2, wide / 2, (count, 2)) - drift * FRAMES / 2
    radii = random.uniform(3.0, 8.0, count)
    stretch = random.uniform(1.0, 2.0, count)
    headings = random.uniform(0, np.pi, count)
    peaks = random.uniform(-10, FRAMES + 10, count)
    lives = random.uniform(10, 25, count)
    strengths = random.uniform(0.3, 1.0, count)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32) - SIZE / 2
    for time in range(FRAMES):
        echo = np.zeros((SIZE, SIZE))
        weights = strengths * np.exp(-(((time - peaks) / lives) ** 2))
        for (x, y), radius, longer, heading, weight in zip(centres, radii, stretch, headings, weights, strict=True):
            along = (columns - x) * np.cos(heading) + (rows - y) * np.sin(heading)
            across = (rows - y) * np.cos(heading) - (columns - x) * np.sin(heading)
            echo += weight * np.exp(-((along / (radius * longer)) ** 2) - (across / radius) ** 2)
        # A radar shows decibels: nothing below a threshold, the logarithm above it.
        decibels = np.log(np.maximum(echo, 0.15) / 0.15) / np.log(2.0 / 0.15)
        yield np.clip(decibels, 0, 1).astype(np.float32)
        centres = centres @ rotation.T + drift
        headings = headings + turn


def write(folder: Path, name: str, kind: str, frames: Iterator[Image]) -> None:
    """Writes a clip in one of the formats KINDS."""
    pixels = [np.rint(frame * 255).astype(np.uint8)[:, :, None] for frame in frames]
    if kind == "avi":
        _write_avi(folder / f"{name}.avi", pixels)
        return
    path = folder / (name if kind == "images" else f"{name}.{kind}")
    with open_writer(path, {"mkv": "lossless", "images": "png"}.get(kind, kind), FPS) as writer:
        for frame in pixels:
            writer.write(frame)


def _write_avi(path: Path, pixels: list[NDArray[np.uint8]]) -> None:
    """Writes Motion JPEG, a common camera format that the tool reads but does not write."""
    with silence():
        video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), FPS, (SIZE, SIZE))
    for frame in pixels:
        video.write(np.repeat(frame, 3, axis=2))
    video.release()


if __name__ == "__main__":
    main()
