"""What a camera, a recorder and a codec make of a scene."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Clip, Random, blurred, by_channels
from convlstm_cli.video.opencv import cv2

Pixels = NDArray[np.uint8]
"""(T, H, W, C)."""

BLOCK = 8
"""Side in pixels of the blocks that a codec keeps or renews."""

LETTERBOXES = 0.12
"""Probability of black borders; more would make a network take any slow edge before black for one."""


def finish(random: Random, clip: Clip, height: int, width: int) -> Pixels:
    """A rendered clip as a file of this size would hold it: averaged over pixels, with noise or compressed, 8 bits."""
    if random.random() < 0.12:
        clip = clip * _flicker(random, len(clip))
    if random.random() < 0.15:
        sigma = random.uniform(0.3, 1.5)
        clip = np.stack([blurred(frame, sigma) for frame in clip])
    if random.random() < 0.25:  # shades of few contrasts, and dim or bright
        gain, offset = random.uniform(0.15, 1.0), random.uniform(0, 1)
        clip = clip * np.float32(gain) + np.float32(offset * (1 - gain))
    small = np.stack([resized(frame, height, width) for frame in clip])
    if random.random() < LETTERBOXES:
        _letterbox(random, small)
    fate = random.random()
    if fate < 0.25:
        small = small + grain(random, small.shape, float(np.exp(random.uniform(np.log(0.0007), np.log(0.02)))))
        return to_bytes(small)
    pixels = to_bytes(small)
    return compressed(random, pixels) if fate < 0.45 else pixels


def resized(frame: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A frame (h, w, C) at another size, each pixel the mean over its area."""
    if frame.shape[:2] == (height, width):
        return frame
    return by_channels(lambda part: cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), frame)


def to_bytes(clip: NDArray[np.float32]) -> Pixels:
    """0...1 to 0...255, rounded."""
    return np.asarray(np.clip(clip * np.float32(255) + np.float32(0.5), 0, 255), np.uint8)


def grain(random: Random, shape: tuple[int, ...], size: float) -> NDArray[np.float32]:
    """Sensor noise of this standard deviation."""
    noise: NDArray[np.float32] = random.standard_normal(shape, np.float32) * np.float32(size)
    return noise


def compressed(random: Random, pixels: Pixels) -> Pixels:
    """Frames as a codec gives them: blocks of a coarse spectrum that are kept as long as little changes in them."""
    quality = int(random.integers(25, 90))
    threshold = float(random.uniform(3, 14))
    kept: Pixels | None = None
    out = np.empty_like(pixels)
    for index, frame in enumerate(pixels):
        coded = _coded(frame, quality)
        if kept is not None:
            change = np.abs(frame.astype(np.float32) - kept).max(axis=2)
            rows, columns = -(-frame.shape[0] // BLOCK), -(-frame.shape[1] // BLOCK)
            padded = np.pad(
                change, ((0, rows * BLOCK - frame.shape[0]), (0, columns * BLOCK - frame.shape[1]))
            ).reshape(rows, BLOCK, columns, BLOCK)
            renewed = np.kron(padded.max(axis=(1, 3)) > threshold, np.ones((BLOCK, BLOCK), bool))
            renewed = renewed[: frame.shape[0], : frame.shape[1], None]
            coded = np.where(renewed, coded, kept)
        out[index] = kept = coded
    return out


def _coded(frame: Pixels, quality: int) -> Pixels:
    """A frame (H, W, C) through JPEG, each channel as a grey picture."""
    parts = []
    for channel in range(frame.shape[2]):
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(frame[..., channel]), [cv2.IMWRITE_JPEG_QUALITY, quality])
        parts.append(np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8))
    return np.stack(parts, axis=-1)


def _letterbox(random: Random, clip: Clip) -> None:
    """Blackens two opposite edges, as where a frame of another shape is fitted in; also one edge or a corner."""
    height, width = clip.shape[1:3]
    rows, columns = (int(size * random.uniform(0, 0.25)) for size in (height, width))
    which = random.random()
    if which < 0.7:
        clip[:, :rows] = clip[:, height - rows :] = 0
    elif which < 0.85:
        clip[:, :, :columns] = clip[:, :, width - columns :] = 0
    else:
        clip[:, :rows, : 2 * columns] = 0


def _flicker(random: Random, frames: int) -> NDArray[np.float32]:
    """Factors of brightness (T, 1, 1, 1) that waver, drift or pulse slightly."""
    manner, times = random.random(), np.arange(frames, dtype=np.float64)
    if manner < 0.4:
        factors = np.asarray(1 + random.normal(0, random.uniform(0.003, 0.03), frames), np.float64)
    elif manner < 0.7:
        factors = 1 + times * random.normal(0, 0.01)
    else:
        factors = 1 + random.uniform(0, 0.15) * np.sin(times * random.uniform(0.1, 1.5) + random.uniform(0, 6))
    return np.asarray(np.clip(factors, 0, 2), np.float32)[:, None, None, None]
