"""What all writers of frames have in common."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from convlstm_cli.errors import OutputError
from convlstm_cli.files import writing
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.source import Placement


class FrameWriter(ABC):
    """Writes frames of one type, one size and one number of channels, in order."""

    types: ClassVar[frozenset[str]] = frozenset({"uint8"})
    """Types of pixels that it keeps, of `values.TYPES`; uint8 at least."""
    is_preview: ClassVar[bool] = False
    """Whether what it writes is for people to watch, so that measured values are drawn in colours."""
    any_channels: ClassVar[bool] = False
    """Whether frames may have any number of channels, and not only 1 or 3."""
    takes_alpha: ClassVar[bool] = False
    """Whether 8-bit frames may also have 2 or 4 channels, the last of them alpha."""

    @classmethod
    def keeps(cls, frame: Frame) -> bool:
        """Whether a file holds the values of such a frame (H, W, C)."""
        return frame.dtype.name in cls.types and (cls.any_channels or frame.shape[2] in (1, 3))

    def __init__(self, path: Path, partial: Path, fps: float, cleanup: contextlib.ExitStack) -> None:
        self.path = path
        """What is being written, for messages."""
        self.partial = partial
        """Where it is written until it is whole."""
        self.fps = fps
        self.cleanup = cleanup
        """Closed after the last frame or a failure."""
        self.shape: tuple[int, ...] = ()
        """(H, W, C) of the frames; empty before the first."""
        self.dtype = ""
        """Type of their pixels; empty before the first."""
        self.frames = 0
        """Frames written so far."""
        self.names: Sequence[str] | None = None
        """Names of the frames, without a suffix, for a folder of images; None numbers them."""
        self.placement = Placement()
        """What the frames are, for a format that says so."""

    def write(self, frame: Frame) -> None:
        """Adds a frame, (H, W, C) of one of `types`.

        Raises OutputError for another type, for another shape than the first frame's, and where the file
        cannot be written.
        """
        with_alpha = self.takes_alpha and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] in (2, 4)
        if frame.ndim != 3 or 0 in frame.shape or not (with_alpha or self.keeps(frame)):
            raise OutputError(
                f"{self.path}: got a frame of {frame.dtype} {frame.shape}; frames are (H, W, C) of "
                f"{' or '.join(sorted(self.types))}{'' if self.any_channels else ', C = 1 or 3'}."
            )
        with writing(self.path):  # here, because the block of `writers.open_writer` may hold the writers of other files
            if not self.frames:
                self.shape, self.dtype = frame.shape, frame.dtype.name
                self._begin()
            elif (frame.shape, frame.dtype.name) != (self.shape, self.dtype):
                raise OutputError(
                    f"{self.path}: got a frame of {frame.dtype} {frame.shape} after frames of {self.dtype} "
                    f"{self.shape}; all must be alike."
                )
            self.frames += 1
            self._write(frame)

    def finish(self) -> None:
        """Completes the file. Raises OutputError if there was no frame or the file is not good."""
        if not self.frames:
            raise OutputError(f"{self.path}: was to be written without a single frame.")
        self._finish()

    @abstractmethod
    def _begin(self) -> None:
        """Prepares for frames of `shape`."""

    @abstractmethod
    def _write(self, frame: Frame) -> None:
        """Writes one frame, which `frames` counts already."""

    @abstractmethod
    def _finish(self) -> None:
        """Writes what follows the last frame."""
