"""Frames of any size brought to the one size that a model works at, and back."""

from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import check_sides
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.config import Fit
from convlstm_cli.video.missing import clear, filled, gone
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.values import to_type

RESIZED_AS = {"bool": np.float32, "float16": np.float32, "int32": np.float64}
"""Types that OpenCV does not resize, and those that it resizes in their place."""


class _Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class FrameGeometry:
    """How source frames become model frames and forecasts become source frames.

    Raises UsageError for a side outside 16...4096 pixels or an unknown fit.
    """

    height: int
    """Height of the model's frames in pixels."""
    width: int
    """Width of the model's frames in pixels."""
    fit: Fit = "pad"
    """pad: the whole frame, with black bars; crop: its centre, filling the frame; stretch: the aspect changes."""

    def __post_init__(self) -> None:
        check_sides(self.height, self.width)
        if self.fit not in get_args(Fit):
            raise UsageError(f"--fit is {self.fit!r}; choose one of {', '.join(get_args(Fit))}.")

    def content(self, source_height: int, source_width: int) -> tuple[slice, slice]:
        """Rows and columns of the model's frame that a source frame fills; the others are padding."""
        _, target = self._boxes(source_height, source_width)
        return target.rows, target.columns

    def fit_frame(self, frame: Frame, missing: float | None = None) -> Frame:
        """A source frame (H, W, C) of any size at the model's size, (height, width, C).

        A pixel is missing where most of what it is made of is: NaN, or the value `missing` of integers.
        """
        source, target = self._boxes(*frame.shape[:2])
        content = _resize_known(frame[source.rows, source.columns], target.height, target.width, missing)
        if content.shape[:2] == (self.height, self.width):
            return content
        fitted = np.zeros((self.height, self.width, frame.shape[2]), frame.dtype)
        fitted[target.rows, target.columns] = content
        return fitted

    def restore(self, frame: Frame, source_height: int, source_width: int, background: Frame | None = None) -> Frame:
        """A frame at the model's size, (height, width, C), back at the source's, (source_height, source_width, C).

        Padding is cut away. What cropping had removed is taken from `background`, a frame of the source's
        size and the same channels, such as the last known one; without it, it is black.
        """
        source, target = self._boxes(source_height, source_width)
        content = resize(frame[target.rows, target.columns], source.height, source.width)
        if content.shape[:2] == (source_height, source_width):
            return content
        if background is None:
            restored = np.zeros((source_height, source_width, frame.shape[2]), frame.dtype)
        else:
            restored = background.copy()
        restored[source.rows, source.columns] = content
        return restored

    def to_source(self, row: float, column: float, source_height: int, source_width: int) -> tuple[float, float]:
        """Row and column, in a source frame, of a place in the model's frame; outside of it for one in the padding."""
        source, target = self._boxes(source_height, source_width)
        return (
            source.top + (row - target.top) * source.height / target.height,
            source.left + (column - target.left) * source.width / target.width,
        )

    def _boxes(self, source_height: int, source_width: int) -> tuple[_Box, _Box]:
        """The part of a source frame that is used, and the part of the model's frame that it fills."""
        used, filled = (source_height, source_width), (self.height, self.width)
        vertical, horizontal = self.height / source_height, self.width / source_width
        if self.fit == "pad":
            scale = min(vertical, horizontal)
            filled = _scaled(used, scale, filled)
        elif self.fit == "crop":
            scale = max(vertical, horizontal)
            used = _scaled(filled, 1 / scale, used)
        return _centred(used, source_height, source_width), _centred(filled, self.height, self.width)


def resize(frame: Frame, height: int, width: int) -> Frame:
    """A frame (H, W, C) as (height, width, C): each axis by area where it shrinks and by cubic where it grows.

    Gives the frame itself where the size is the same already.
    """
    # In two steps, since INTER_AREA turns into plain interpolation, which aliases, as soon as one axis grows.
    shrunk = min(height, frame.shape[0]), min(width, frame.shape[1])
    for size, interpolation in ((shrunk, cv2.INTER_AREA), ((height, width), cv2.INTER_CUBIC)):
        if frame.shape[:2] != size:
            pixels = np.ascontiguousarray(frame.astype(RESIZED_AS.get(frame.dtype.name, frame.dtype), copy=False))
            resized = np.asarray(cv2.resize(pixels, size[::-1], interpolation=interpolation))
            resized = resized if resized.dtype == frame.dtype else to_type(resized, frame.dtype)
            frame = resized.reshape(*size, frame.shape[2])  # OpenCV drops a last axis of 1
    return frame


def _resize_known(frame: Frame, height: int, width: int, missing: float | None) -> Frame:
    """As `resize`, with no missing pixel blended into others."""
    holes = None if frame.shape[:2] == (height, width) else gone(frame, missing)
    if holes is None:
        return resize(frame, height, width)
    share = resize(holes.astype(np.float32), height, width)
    return clear(resize(filled(frame, holes), height, width), share > 0.5, missing)


def _scaled(size: tuple[int, int], scale: float, limit: tuple[int, int]) -> tuple[int, int]:
    """A height and width times `scale`, at least one pixel and at most `limit`."""
    height, width = (min(max(1, round(side * scale)), most) for side, most in zip(size, limit, strict=True))
    return height, width


def _centred(size: tuple[int, int], height: int, width: int) -> _Box:
    return _Box((height - size[0]) // 2, (width - size[1]) // 2, *size)
