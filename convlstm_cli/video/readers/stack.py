"""Arrays that stand beside each other in a file, as the channels of one video."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.missing import gone
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.readers.video_reader import TimedFrame, VideoReader
from convlstm_cli.video.source import DIMS, SourceFacts, Variable

SMALL = frozenset({"bool", "uint8", "uint16", "int16", "float16", "float32"})
"""Types whose numbers float32 holds."""


class Stack:
    """Arrays of a file as the channels of one video, at the times of the array that is read. Those of one frame stay.

    Where they differ in type or in the value for no data, frames are floats with NaN.
    """

    def __init__(self, names: Sequence[str], opened: Callable[[str], VideoReader]) -> None:
        """`opened` opens an array by its name. Raises InputError as it does."""
        with contextlib.ExitStack() as files:
            videos = [files.enter_context(opened(name)) for name in names]
            self._files = files.pop_all()
        self._names, self._videos = names, videos
        kinds = {(video.dtype.name, video.missing) for video in videos}
        self._as_floats = len(kinds) > 1
        types = {name for name, _ in kinds}
        self._dtype = np.dtype(np.float32 if types <= SMALL else np.float64)
        units, ranges = ({getattr(video, key) for video in videos} for key in ("unit", "declared_range"))
        self.unit: str = units.pop() if len(units) == 1 else ""
        self.declared_range: tuple[float, float] | None = ranges.pop() if len(ranges) == 1 else None
        self.missing: float | None = None if self._as_floats else videos[0].missing

    def frames(self, clock: Iterable[TimedFrame]) -> Generator[TimedFrame, None, None]:
        """The frames, at the times of `clock`. Raises InputError for arrays that do not fit it."""
        shown: list[Frame | None] = [None] * len(self._videos)
        for number, timed in enumerate(clock, start=1):
            pixels = [self._next(at, shown[at], timed, number) for at in range(len(self._videos))]
            shown[:] = pixels
            yield timed._replace(pixels=np.concatenate(pixels, axis=2))

    def facts(self) -> SourceFacts:
        """What a forecast takes on: the facts of the first; of several without its attributes, and with their names."""
        facts = self._videos[0].facts()
        if len(self._videos) == 1:
            return facts
        names = Variable(DIMS["C"], (DIMS["C"],), np.array(self._names, object))
        return replace(
            facts,
            dtype="",
            packing=Packing(),
            attributes={},
            channels=len(self._names),
            variables=(*facts.variables, names),
        )

    def close(self) -> None:
        """Closes the arrays."""
        self._files.close()

    def _next(self, at: int, before: Frame | None, timed: TimedFrame, number: int) -> Frame:
        """The frame of an array that goes with the one of the clock; the one before, of an array of one frame."""
        video, name = self._videos[at], self._names[at]
        if before is not None and video.declared_frames == 1:
            return before
        frame = next(video, None)
        if frame is None:
            raise InputError(f"{video.path}: ends before frame {number} of the array beside it; leave {name} out.")
        if frame.shape[:2] != timed.pixels.shape[:2]:
            raise InputError(
                f"{video.path}: has frames of {frame.shape[0]}x{frame.shape[1]} and the array beside it "
                f"{timed.pixels.shape[0]}x{timed.pixels.shape[1]}; leave {name} out."
            )
        if video.declared_frames != 1 and None not in (video.time, timed.time) and video.time != timed.time:
            raise InputError(f"{video.path}: has other times than the array beside it; leave {name} out.")
        if not self._as_floats:
            return frame
        holes, floats = gone(frame, video.missing), frame.astype(self._dtype)
        return floats if holes is None else np.where(holes, self._dtype.type(np.nan), floats)
