"""Grey and colour frames."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.values import to_type

Frame: TypeAlias = NDArray[Any]
"""(H, W, C) of one of `values.TYPES`, C = 1 (grey), 3 (RGB) or any other number of channels."""

GREY_TOLERANCE = 16
"""Largest distance between the channels of a grey pixel; lossy codecs tint grey videos by about this much."""

BT601 = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in the luminance."""


def is_grey(frame: Frame, tolerance: int = GREY_TOLERANCE) -> bool:
    """Whether no pixel's channels lie further apart than `tolerance`, in steps of 255; exactly alike for floats."""
    if frame.shape[2] != 3:
        return bool(frame.shape[2] == 1)
    if frame.dtype != np.uint8:
        full = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 0
        apart = np.ptp(frame.astype(np.float64), axis=2)
        return not (apart > tolerance / 255 * full).any()
    red, green, blue = cv2.split(frame)
    highest = cv2.max(cv2.max(red, green), blue)
    lowest = cv2.min(cv2.min(red, green), blue)
    return int(cv2.subtract(highest, lowest).max()) <= tolerance


def to_channels(frames: Frame, channels: int, source: str = "a video") -> Frame:
    """Frames (..., H, W, C) with another number of channels: grey is repeated to 3, of 3 the luminance is taken for 1.

    Gives `frames` itself where nothing has to change. Raises InputError, which begins with `source`, for other numbers.
    """
    found = frames.shape[-1]
    if found == channels:
        return frames
    if {found, channels} != {1, 3}:
        raise InputError(
            f"{source}: has {found} channels where {channels} are needed; train with --channels, such as --channels 0, "
            "or leave it out."
        )
    return np.repeat(frames, 3, axis=-1) if channels == 3 else luminance(frames)


def luminance(frames: Frame) -> Frame:
    """Frames (..., H, W, C) as (..., H, W, 1): the luminance of RGB (ITU-R BT.601), the mean of other channels."""
    if frames.shape[-1] != 3:
        mean = frames if frames.shape[-1] == 1 else frames.mean(axis=-1, keepdims=True, dtype=np.float64)
        return mean if mean.dtype == frames.dtype else to_type(mean, frames.dtype)
    if frames.dtype != np.uint8:
        return to_type((frames.astype(np.float64) @ BT601)[..., None], frames.dtype)
    *leading, height, width, _ = frames.shape
    rows = np.ascontiguousarray(frames).reshape(-1, width, 3)  # one tall image, as cvtColor takes no more axes
    grey = np.asarray(cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY), np.uint8)
    return grey.reshape(*leading, height, width, 1)


def colour_name(channels: int) -> str:
    """What a number of channels is called: `grey`, `rgb`, or such as `4 channels`."""
    return {1: "grey", 3: "rgb"}.get(channels, f"{channels} channels")
