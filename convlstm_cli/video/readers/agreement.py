"""Whether the files of one video, a frame each, mean the same by their numbers: their unit and value for no data."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame


class Said(NamedTuple):
    """What a file says of the numbers of its frame."""

    unit: str = ""
    missing: float | None = None
    """The value that stands for no data; None where that is NaN, or there is none."""
    has_palette: bool = False
    """Whether its numbers stand for colours of a table, which the frame has."""


class Agreement:
    """Frames of files that may have different values for no data, as frames of the first file."""

    def __init__(self) -> None:
        self.first: Said | None = None
        """What the first file says; None before it is read."""
        self._name = ""

    def of(self, frame: Frame, said: Said, source: str) -> Frame:
        """A frame (H, W, C) of the file `source` with the first file's value for no data, or NaN.

        Raises InputError for a file of another unit, and where an integer cannot stand for no data.
        """
        if self.first is None:
            self.first, self._name = said, Path(source).name
        if said.unit != self.first.unit:
            units = (repr(said.unit) if said.unit else "no unit", repr(self.first.unit) if self.first.unit else "none")
            raise InputError(
                f"{source}: has {units[0]} and {self._name} has {units[1]}; all files of a video must have one unit, "
                "so convert it or move it elsewhere."
            )
        if said.missing is None or said.missing == self.first.missing:
            return frame
        gaps = frame == said.missing
        if not gaps.any():
            return frame
        if frame.dtype.kind == "f":
            return np.where(gaps, np.asarray(math.nan, frame.dtype), frame)
        if self.first.missing is None or (frame == self.first.missing).any():
            others = "none" if self.first.missing is None else f"{self.first.missing:g}"
            raise InputError(
                f"{source}: has {said.missing:g} for no data and {self._name} has {others}; all files of a video must "
                "have one value for no data that no pixel has otherwise."
            )
        return np.where(gaps, np.asarray(self.first.missing, frame.dtype), frame)


Load = Callable[[int], tuple[Frame, Said]]
"""Reads the frame of a file, by its position, and what the file says of it."""
