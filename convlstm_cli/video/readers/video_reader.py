"""An open video: its frames in order, and what its source says of them.

Memory does not grow with the length of a video. The frame count that a file declares is not trusted: many are off by
one, negative or far too high. Reading ends where decoding does.
"""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers.channel_names import positions, unknown
from convlstm_cli.video.readers.checks import CONVERT, reading
from convlstm_cli.video.source import SourceFacts

EXACT_GREY = 2
"""How far the channels of a grey pixel may lie apart where no lossy video codec tints them."""


class TimedFrame(NamedTuple):
    """A frame as readers decode it."""

    pixels: Frame
    time: float | None = None
    """Seconds from the first frame of the video to this one; None where the source has no times."""


class Stacked(Protocol):
    """Arrays of a file as the channels of one video (`stack.py`)."""

    unit: str
    missing: float | None
    declared_range: tuple[float, float] | None

    def frames(self, clock: Iterable[TimedFrame]) -> Generator[TimedFrame, None, None]:
        """The frames, at the times of `clock`. Raises InputError for arrays that do not fit it."""

    def facts(self) -> SourceFacts:
        """What a forecast takes on."""

    def close(self) -> None:
        """Releases the files; nothing can be read afterwards."""


class Arrays(NamedTuple):
    """The arrays of a file."""

    chosen: str
    """The one that is read."""
    names: tuple[str, ...]
    choice: str | None
    """The note that says which one is read, where the path does not; None where it does."""
    stack: Callable[[Sequence[str]], Stacked]
    """Opens some of them. Raises InputError."""


class VideoReader:
    """The frames of one video, in order, once. A context manager and an iterator of frames (H, W, C).

    Frames keep the numbers of their source, in one of `values.TYPES`. Those of files are RGB, or grey where they have
    more than 8 bits; those of images and arrays have their own channels, and a folder may mix grey and RGB.
    """

    path: Path
    kind: str
    """Name of its reader, in READERS."""
    fps: float | None
    """Frames per second that the source declares; None where it declares none."""
    declared_frames: int | None
    """Number of frames that the source declares, never trusted; None where it declares none or an absurd one."""
    height: int
    """Height in pixels of the first frame as decoded, that is after rotation."""
    width: int
    """Width in pixels of the first frame as decoded."""
    grey_tolerance: int
    """How far the channels of a grey pixel may lie apart, in steps of 255."""
    decoder: str | None
    """What decodes its pictures at first, such as `OpenCV`; None where nothing has to be decoded."""
    decoder_reason: str | None
    """Why it is not the usual decoder, such as `is interlaced`, whose subject is the video; None where it is."""
    start: datetime | None
    """Date and time of the first frame; None where the source has none."""
    numbers: Sequence[float] | None
    """What the frames' files are numbered, less the first number, rising; None where they have no numbers.
    Those of images that cannot be decoded are taken out when they are reached."""
    time: float | None
    """Seconds from the first frame to the one that was returned last; None before it, and where there are no times."""
    notes: list[str]
    """What people should know of how the video is read, a clause each. Complete when the last frame is read."""
    unit: str
    """Unit of the pixel values, such as `mm/h`; empty where the source declares none."""
    missing: float | None
    """The value that stands for no data, as the source declares it; None where it declares none. NaN and infinity are
    missing in any case."""
    declared_range: tuple[float, float] | None
    """Least and largest value that pixels can have, as the source declares them; None where it declares none."""

    def __init__(
        self,
        path: Path,
        kind: str,
        frames: Generator[TimedFrame, None, None],
        declared_frames: int | None = None,
        fps: float | None = None,
        grey_tolerance: int = EXACT_GREY,
        *,
        start: datetime | None = None,
        numbers: Sequence[float] | None = None,
        notes: list[str] | None = None,
        decoder: str | None = None,
        decoder_reason: str | None = None,
        unit: str = "",
        missing: float | None = None,
        declared_range: tuple[float, float] | None = None,
        facts: Callable[[], SourceFacts] = SourceFacts,
        arrays: Arrays | None = None,
    ) -> None:
        """`frames` may append to `notes` while it decodes; `facts` reads what a forecast takes on.

        `arrays` are those of its file, which may be chosen as channels.
        """
        self.path, self.kind, self.declared_frames, self.fps = path, kind, declared_frames, fps
        self.grey_tolerance, self.decoder, self.decoder_reason = grey_tolerance, decoder, decoder_reason
        self.start, self.numbers, self.notes = start, numbers, [] if notes is None else notes
        self.unit, self.missing, self.declared_range = unit, missing, declared_range
        self.time = None
        self._frames = frames
        self._opened = contextlib.ExitStack()
        self._first: TimedFrame | None = next(frames, None)
        if self._first is None:
            raise InputError(f"{path}: opens but no frame can be decoded; copy it again, or {CONVERT}.")
        self.height, self.width = self._first.pixels.shape[:2]
        self._dtype, self._found = self._first.pixels.dtype, self._first.pixels.shape[2]
        self._channels: list[int] | None = None
        self._facts, self._arrays = facts, arrays

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self._dtype

    def select(
        self,
        channels: Sequence[int | str] | None,
        *,
        without: Sequence[int | str] = (),
        flag: str = "--channels",
    ) -> None:
        """Keeps these channels of each frame, by their positions from 0 or their names, in this order.

        None keeps all but those that `without` names; `flag` is what messages call the option.

        Names are those of the channels, or else those of arrays of the file, which then are a channel each, in place of
        the array that is read. Raises InputError where one is not there. To be called before the first frame is taken.
        """
        if channels is None:
            self._leave_out(without)
            return
        names = self._names(channels)
        arrays = self._arrays
        if (found := positions(channels, names, self._found)) is not None:
            self._channels = found
        elif arrays is not None and set(channels) <= set(arrays.names):
            if arrays.choice in self.notes:
                self.notes.remove(arrays.choice)
            if list(channels) != [arrays.chosen]:
                self._take(arrays.stack([str(each) for each in channels]))
        else:
            raise unknown(self.path, channels, self._found, names, () if arrays is None else arrays.names, flag)

    @property
    def kept_channels(self) -> Sequence[int] | None:
        """Positions of the channels that `select` keeps, from 0; None for all."""
        return self._channels

    def _leave_out(self, channels: Sequence[int | str]) -> None:
        out = [positions([each], self._names(channels), self._found) for each in channels]
        left = [each for each in range(self._found) if [each] not in out]
        if not left:
            raise InputError(f"{self.path}: has {self._found} channels, and none of them is left to forecast.")
        self._channels = left if len(left) < self._found else None

    def _names(self, channels: Sequence[int | str]) -> tuple[str, ...]:
        """Names of the channels, where a name is asked for."""
        return self.facts().channel_names if any(isinstance(each, str) for each in channels) else ()

    def _take(self, stack: Stacked) -> None:
        """Reads arrays in place of the one that is read, which is their clock."""
        assert self._first is not None
        self._opened.callback(stack.close)
        self._opened.callback(self._frames.close)
        self._frames = stack.frames(itertools.chain([self._first], self._frames))
        self._first, self._facts = next(self._frames), stack.facts
        self._dtype, self._found = self._first.pixels.dtype, self._first.pixels.shape[2]
        self.unit, self.missing, self.declared_range = stack.unit, stack.missing, stack.declared_range

    def facts(self) -> SourceFacts:
        """What a forecast of the selected channels takes on. To be called before the last frame is taken.

        Raises InputError where it cannot be read.
        """
        with reading(self.path):
            try:
                facts = self._facts()
            except (InputError, MemoryError, OSError):
                raise
            except Exception as error:  # libraries raise what they like where a file is damaged
                raise InputError(f"{self.path}: has coordinates that cannot be read ({error}); mend them.") from error
        return facts if self._channels is None else facts.of_channels(self._channels)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame, self._first = self._first or next(self._frames), None
        if frame.pixels.dtype != self._dtype:
            raise InputError(
                f"{self.path}: changes from pixels of type {self._dtype} to {frame.pixels.dtype}, whose numbers may "
                "mean another thing; save all frames in one type."
            )
        found = frame.pixels.shape[2]
        if found != self._found and {found, self._found} != {1, 3}:
            raise InputError(f"{self.path}: changes from {self._found} to {found} channels; save all frames alike.")
        self.time = frame.time
        return frame.pixels if self._channels is None else np.ascontiguousarray(frame.pixels[:, :, self._channels])

    def close(self) -> None:
        """Releases the file; nothing can be read afterwards."""
        self._first = None
        self._frames.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
