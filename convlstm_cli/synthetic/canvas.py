"""Images and clips that a scene draws, and the operations that all scenes share: warping and blending."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.opencv import cv2

Random = np.random.Generator
Image = NDArray[np.float32]
"""(H, W, C), 0...1."""
Mask = NDArray[np.float32]
"""(H, W), 0...1: how much of an image is seen."""
Clip = NDArray[np.float32]
"""(T, H, W, C), 0...1."""
Matrix = NDArray[np.float64]
"""(2, 3): where a pixel (x, y, 1) of an image goes."""

MOST_CHANNELS = 4
"""Channels that OpenCV warps at once."""


@dataclass(frozen=True)
class Canvas:
    """What a scene draws on."""

    frames: int
    height: int
    """In pixels of the rendering, which are smaller than those of the finished clip by `scale`."""
    width: int
    channels: int
    scale: float
    """Pixels of the rendering in one of the finished clip."""

    @property
    def side(self) -> int:
        """The shorter side in pixels: sizes and speeds are shares of it."""
        return min(self.height, self.width)

    @property
    def centre(self) -> NDArray[np.float64]:
        """(x, y)."""
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])

    def empty(self) -> Clip:
        """A black clip."""
        return np.zeros((self.frames, self.height, self.width, self.channels), np.float32)

    def place(self, random: Random, margin: float = 0.0) -> NDArray[np.float64]:
        """A random position (x, y); a `margin` below 0 allows those outside, in shares of the frame."""
        low, high = margin, 1 - margin
        return random.uniform(low, high, 2) * (self.width - 1, self.height - 1)


def similarity(
    source: NDArray[np.float64], target: NDArray[np.float64], angle: float = 0.0, zoom: float = 1.0
) -> Matrix:
    """The matrix that turns (radians) and enlarges about `source` and takes it to `target`, both (x, y)."""
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack((linear, target - linear @ source))


def by_channels(function: Callable[[Any], Any], image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one of OpenCV's functions makes of an image (H, W) or (H, W, C), of however many channels."""
    if image.ndim == 3 and image.shape[2] > MOST_CHANNELS:
        parts = [image[..., at : at + MOST_CHANNELS] for at in range(0, image.shape[2], MOST_CHANNELS)]
        return np.concatenate([by_channels(function, np.ascontiguousarray(part)) for part in parts], axis=2)
    made = np.asarray(function(image), np.float32)
    return made.reshape(*made.shape[:2], *image.shape[2:])  # OpenCV drops a last axis of length 1


def warp(image: NDArray[np.float32], matrix: Matrix, height: int, width: int, border: int) -> NDArray[np.float32]:
    """An image (H, W) or (H, W, C) under a matrix, (height, width[, C]); `border` is OpenCV's."""
    return by_channels(
        lambda part: cv2.warpAffine(part, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border), image
    )


def remap(
    image: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32], interpolation: int = cv2.INTER_LINEAR
) -> NDArray[np.float32]:
    """An image (H, W) or (H, W, C) read at x and y, (h, w); beyond its edge is its mirror image."""
    return by_channels(lambda part: cv2.remap(part, x, y, interpolation, borderMode=cv2.BORDER_REFLECT_101), image)


def cover(below: Image, above: Image, mask: Mask) -> None:
    """Blends `above` over `below`, which is changed, where `mask` says."""
    below += mask[..., None] * (above - below)


def blurred(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """An image under a Gaussian of `sigma` pixels."""
    if sigma < 0.2:
        return image
    smooth = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(smooth, np.float32).reshape(image.shape)
