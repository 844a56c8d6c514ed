"""Things that move before a background: shapes, digits and lights with a soft edge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Image, Mask, Random, blurred, cover, similarity, warp
from convlstm_cli.synthetic.textures import surface
from convlstm_cli.video.opencv import cv2

FONTS = (0, 2, 3, 4, 6, 7)
"""OpenCV's Hershey fonts with digits that differ."""


@dataclass(frozen=True)
class Sprite:
    """A thing: what it looks like and where it is seen."""

    image: Image
    """(S, S, C)."""
    mask: Mask
    """(S, S)."""

    def draw(
        self, frame: Image, at: NDArray[np.float64], angle: float = 0.0, zoom: float = 1.0, opacity: float = 1.0
    ) -> None:
        """Draws it onto a frame (H, W, C), its centre at `at` (x, y), turned and enlarged."""
        side = self.mask.shape[0]
        half = int(side * zoom * (0.75 if angle else 0.5)) + 2
        left, top = int(np.floor(at[0])) - half, int(np.floor(at[1])) - half
        x_0, y_0 = max(left, 0), max(top, 0)
        x_1, y_1 = min(left + 2 * half + 1, frame.shape[1]), min(top + 2 * half + 1, frame.shape[0])
        if x_0 >= x_1 or y_0 >= y_1:
            return
        middle = np.full(2, (side - 1) / 2)
        matrix = similarity(middle, at - (x_0, y_0), angle, zoom)
        mask = warp(self.mask, matrix, y_1 - y_0, x_1 - x_0, cv2.BORDER_CONSTANT)
        image = warp(self.image, matrix, y_1 - y_0, x_1 - x_0, cv2.BORDER_REPLICATE)
        cover(frame[y_0:y_1, x_0:x_1], image, mask * np.float32(opacity) if opacity != 1.0 else mask)


def sprite(random: Random, side: int, channels: int, *, largest: float = 0.35) -> Sprite:
    """A random thing of 5 % to `largest` of a frame whose shorter side is `side`, mostly small."""
    radius = max(2.0, 0.5 * side * float(np.exp(random.uniform(np.log(0.05), np.log(largest)))))
    size = 2 * int(radius) + 9
    kind = random.random()
    if kind < 0.4:
        mask = ellipse(random, size, radius)
    elif kind < 0.7:
        mask = polygon(random, size, radius)
    elif kind < 0.88:
        mask = digit(random, size)
    else:
        mask = light(size, radius)
    if random.random() < 0.35:
        mask = blurred(mask, random.uniform(0.4, 2.0))
    return Sprite(surface(random, size, size, channels), mask)


def ellipse(random: Random, size: int, radius: float) -> Mask:
    """A filled ellipse, (size, size)."""
    canvas = np.zeros((size, size), np.uint8)
    box = ((size / 2, size / 2), (2 * radius, 2 * radius * random.uniform(0.4, 1.0)), float(random.uniform(0, 180)))
    cv2.ellipse(canvas, box, 255, -1, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


def polygon(random: Random, size: int, radius: float) -> Mask:
    """A filled polygon of three to eight corners, (size, size)."""
    canvas = np.zeros((size, size), np.uint8)
    count = int(random.integers(3, 9))
    angles = np.sort(random.uniform(0, 2 * np.pi, count))
    radii = radius * random.uniform(0.5, 1.0, count)
    corners = np.stack((size / 2 + radii * np.cos(angles), size / 2 + radii * np.sin(angles)), axis=1)
    cv2.fillPoly(canvas, [corners.astype(np.int32)], 255, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


def digit(random: Random, size: int) -> Mask:
    """A digit, or now and then a letter, in one of OpenCV's stroke fonts, (size, size)."""
    text = str(random.integers(10)) if random.random() < 0.85 else chr(int(random.integers(65, 91)))
    font, thickness = int(random.choice(FONTS)), max(1, round(size * random.uniform(0.05, 0.13)))
    if random.random() < 0.3:
        font |= cv2.FONT_ITALIC
    scale = 0.8 * size / 30
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    canvas = np.zeros((size, size), np.uint8)
    at = ((size - width) // 2, (size + height) // 2)
    cv2.putText(canvas, text, at, font, scale, 255, thickness, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


def light(size: int, radius: float) -> Mask:
    """A soft light, (size, size)."""
    away = (np.arange(size, dtype=np.float32) - (size - 1) / 2) / max(radius / 2, 0.5)
    fall = np.exp(-0.5 * away**2)
    mask: Mask = fall[:, None] * fall[None, :]
    return mask
