"""Grey and colour frames, and other pixel types brought to uint8."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.opencv import cv2

Frame = NDArray[np.uint8]
"""(H, W, C), C = 1 (grey) or 3 (RGB)."""

GREY_TOLERANCE = 16
"""Largest distance between the channels of a grey pixel; lossy codecs tint grey videos by about this much."""


def is_grey(frame: Frame, tolerance: int = GREY_TOLERANCE) -> bool:
    """Whether no pixel's channels lie further apart than `tolerance`, in steps of 255."""
    if frame.shape[2] == 1:
        return True
    red, green, blue = cv2.split(frame)
    highest = cv2.max(cv2.max(red, green), blue)
    lowest = cv2.min(cv2.min(red, green), blue)
    return int(cv2.subtract(highest, lowest).max()) <= tolerance


def to_channels(frames: Frame, channels: int) -> Frame:
    """Frames (..., H, W, C) with 1 or 3 channels: grey is repeated, colour becomes its luminance (ITU-R BT.601).

    Gives `frames` itself where nothing has to change.
    """
    if frames.shape[-1] == channels:
        return frames
    if channels == 3:
        return np.repeat(frames, 3, axis=-1)
    *leading, height, width, _ = frames.shape
    rows = np.ascontiguousarray(frames).reshape(-1, width, 3)  # one tall image, as cvtColor takes no more axes
    grey = np.asarray(cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY), np.uint8)
    return grey.reshape(*leading, height, width, 1)


def to_uint8(pixels: NDArray[np.generic], source: str) -> NDArray[np.uint8]:
    """Pixels of any usual type as uint8 of the same shape.

    bool becomes 0 or 255, 16 bits are scaled from 0...65535 and floats from [0, 1], all rounded to the nearest.
    Raises InputError, which begins with `source`, for other types and for floats outside [0, 1].
    """
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(pixels.dtype, np.floating):
        scaled = pixels.astype(np.float64)
        if not (scaled.min() >= 0 and scaled.max() <= 1):  # also true for NaN
            raise InputError(
                f"{source}: holds floats that are NaN or outside [0, 1]; replace NaN and divide by the largest "
                "value, or save the array as uint8."
            )
        return np.rint(scaled * 255).astype(np.uint8)
    raise InputError(
        f"{source}: holds pixels of type {pixels.dtype}; save them as uint8, uint16, bool, or floats in [0, 1]."
    )
