"""The frames of a video in order, with the gaps between them, read once and a few at a time."""

import itertools
import math
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.config import Pace
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.timeline import ROUNDING, number_gaps, same_rate, usual_step

LOOKED_AT = 32
"""Frames at the beginning whose times show the usual step."""
RECENT = 15
"""Steps of which the median is what is usual at a frame."""


class Step(NamedTuple):
    """A frame of a video."""

    number: int
    """From 1."""
    time: float | None
    """Seconds from the first frame; None where the source has no times."""
    pixels: Frame
    begins: bool
    """Whether no frame, or a gap, is before it."""


class Steps(Iterator[Step]):
    """The frames of a video, each with whether a gap is before it. Holds at most `LOOKED_AT` of them.

    `video/timeline.py` finds gaps by all times of a video; here what is usual is the median of the last steps. Where
    `pace.every` is a duration longer than the video's own step, the frame nearest to each such step is given, and a
    step without a frame is a gap.
    """

    def __init__(self, video: VideoReader, pace: Pace) -> None:
        self._video, self._max_gap = video, pace.max_gap
        self._read = 0
        frames = self._frames()
        ahead = list(itertools.islice(frames, LOOKED_AT))
        own = _usual([step.time for step in ahead])
        every = None if isinstance(pace.every, str) else pace.every
        even = every is not None and own is not None and own < every and not same_rate(own, every)
        self.seconds = every if even else own or (1 / video.fps if video.fps else None)
        """Seconds from one frame to the next; None where they are unknown."""
        frames = itertools.chain(ahead, frames)
        self._steps = _nearest(frames, every) if even and every is not None else self._with_gaps(frames, own)

    def __next__(self) -> Step:
        return next(self._steps)

    def _frames(self) -> Iterator[Step]:
        for pixels in self._video:
            self._read += 1
            yield Step(self._read, self._video.time, pixels, begins=False)

    def _with_gaps(self, frames: Iterator[Step], usual: float | None) -> Iterator[Step]:
        before: Step | None = None
        recent: deque[float] = deque(maxlen=RECENT)
        named: set[int] = set()
        known = -1
        for frame in frames:
            numbers = self._video.numbers
            if usual is None and numbers is not None and len(numbers) != known:  # fewer once an image is damaged
                known, named = len(numbers), set(number_gaps(numbers, self._max_gap))
            begins = before is None or frame.number - 1 in named
            if usual is not None and before is not None and before.time is not None and frame.time is not None:
                step = frame.time - before.time
                here = float(np.median(recent)) if len(recent) == RECENT else usual
                begins = step < 0 or step > self._max_gap * here + ROUNDING
                recent.append(step)
            yield frame._replace(begins=begins)
            before = frame


def _usual(times: list[float | None]) -> float | None:
    """The usual seconds between frames; None where times are missing or mostly do not rise."""
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(known) < 2:
        return None
    rising = sum(later > earlier for earlier, later in itertools.pairwise(known))
    return usual_step(np.asarray(known, np.float64)) if 2 * rising >= len(known) - 1 else None


def _nearest(frames: Iterator[Step], every: float) -> Iterator[Step]:
    """The frame nearest to each step of `every` seconds; where a step has none, the steps count from the next frame."""
    aim, begins = math.nan, True
    found: Step | None = None
    for frame in frames:
        time = _time(frame)
        if found is not None and not aim - every <= time <= aim + every / 2:
            yield found._replace(begins=begins)
            found, begins, aim = None, False, aim + every
        if found is None and not aim - 2 * every <= time <= aim + every / 2:
            aim, begins = time, True
        if time >= aim - every / 2 and (found is None or abs(time - aim) < abs(_time(found) - aim)):
            found = frame
    if found is not None:
        yield found._replace(begins=begins)


def _time(step: Step) -> float:
    assert step.time is not None
    return step.time
