"""The frames that a forecast starts from, and the known frames that follow them, at one step of time."""

import itertools
import math
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from convlstm_cli.errors import InputError
from convlstm_cli.settings import write_duration
from convlstm_cli.video.colour import Frame, is_grey
from convlstm_cli.video.config import Pace
from convlstm_cli.video.readers.parts import split_part
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.source import SourceFacts
from convlstm_cli.video.timeline import in_words, number_gaps, same_rate, timeline_of

FINENESS = 4
"""Frames that are kept for each step where a video is brought to a longer one, since the last frame, which the steps
are counted from, is not known before. Of more frames some are left out, and each step is met within an eighth of it."""


class IsolatedFrameError(InputError):
    """The last frame lies behind a gap, and no frame before it is read with it."""

    def __init__(self, message: str, before: int, why: str) -> None:
        super().__init__(message)
        self.before = before
        """Number of the last frame that does not stand alone."""
        self.why = why
        """What separates it from the last frame, a clause."""


class TimedInput(NamedTuple):
    """A frame of a source."""

    number: int
    """From 1."""
    time: float | None
    """Seconds from the source's first frame; None where the source has no times."""
    pixels: Frame


@dataclass(frozen=True)
class InputClip:
    """The input frames of a forecast, and the known frames that follow them. Frame numbers count from 1."""

    inputs: list[Frame]
    first: int
    """Number of the first input frame."""
    last: int
    """Number of the last input frame."""
    following: "Following"
    """The frames after it; each is read from the video when it is asked for."""
    followed: bool
    """Whether there is any such frame."""
    fps: float | None
    grey: bool
    """Whether no input frame has colour."""
    step: float | None
    """Seconds from one input frame to the next; None where they are unknown."""
    start: datetime | None
    """Date and time of the source's first frame; None where it has none."""
    time: float | None
    """Seconds from the source's first frame to the last input frame; None where the source has no times of use."""
    notes: tuple[str, ...]
    """What people should know of the times of these frames, a clause each."""


class Following(Iterator[Frame]):
    """The frames after the last input frame, one at each step, up to the next gap or the end of the video."""

    def __init__(self, video: VideoReader, last: TimedInput, step: float | None, max_gap: float, *, even: bool) -> None:
        """With `even` the frame nearest to each step is taken, otherwise every frame. No `step`: there are no times."""
        self.last = last.number
        """Number of the frame that was returned last, or of the last input frame."""
        self._video, self._step, self._reach, self._even = video, step, max_gap, even
        self._read_last, self._time = last.number, last.time
        self._ahead: TimedInput | None = None
        self._unread: TimedInput | None = None
        self._ended = False

    def __next__(self) -> Frame:
        frame, self._ahead = self.ahead(), None
        if frame is None:
            raise StopIteration
        self.last = frame.number
        return frame.pixels

    def ahead(self) -> TimedInput | None:
        """The frame that is returned next; None where there is no more."""
        if self._ahead is None and not self._ended:
            self._ahead = self._nearest() if self._even else self._successor()
            self._ended = self._ahead is None
        return self._ahead

    def _successor(self) -> TimedInput | None:
        frame = self._read()
        if (
            frame is not None
            and self._step is None
            and frame.number - 1 in number_gaps(self._video.numbers, self._reach)
        ):
            return None
        if frame is None or self._step is None or frame.time is None or self._time is None:
            return frame
        if not 0 <= frame.time - self._time <= self._reach * self._step:
            return None
        self._time = frame.time
        return frame

    def _nearest(self) -> TimedInput | None:
        assert self._step is not None
        assert self._time is not None
        self._time += self._step
        nearest: TimedInput | None = None
        while (frame := self._read()) is not None and frame.time is not None:
            if frame.time > self._time + self._step / 2:
                self._unread = frame
                break
            if frame.time >= self._time - self._step / 2 and (nearest is None or self._off(frame) < self._off(nearest)):
                nearest = frame
        return nearest

    def _off(self, frame: TimedInput) -> float:
        assert frame.time is not None
        assert self._time is not None
        return abs(frame.time - self._time)

    def _read(self) -> TimedInput | None:
        if self._unread is not None:
            frame, self._unread = self._unread, None
            return frame
        pixels = next(self._video, None)
        if pixels is None:
            return None
        self._read_last += 1
        return TimedInput(self._read_last, self._video.time, pixels)


class _Recent:
    """The last frames of a video, as many as may be needed: their number does not depend on the video's length."""

    def __init__(self, count: int, every: float | None) -> None:
        """Keeps `count` frames, and those of as many steps where `every` is their length in seconds."""
        self._count, self._every = count, every
        self._most = count if every is None else FINENESS * count + 2
        self.frames: deque[TimedInput] = deque()

    def add(self, frame: TimedInput) -> None:
        frames = self.frames
        if self._every is not None and frame.time is not None:
            if len(frames) > 1 and _apart(frames[-2], frames[-1]) < self._every / FINENESS:
                frames.pop()
            while len(frames) > self._count and _apart(frames[0], frame) > (self._count - 0.5) * self._every:
                frames.popleft()
        frames.append(frame)
        if len(frames) > self._most:
            frames.popleft()


def read_clip(video: VideoReader, input_frames: int, at: int | None, pace: Pace = Pace()) -> InputClip:  # noqa: B008
    """Reads the `input_frames` frames up to frame `at`, or up to the end of the video.

    Where `pace.every` is a duration, longer than the video's own step, the frames nearest to each such step before the
    last frame are read; otherwise all frames are. There may be fewer, two at least: none before a gap is read.
    Raises InputError where there are fewer than two or the video ends before `at`, and IsolatedFrameError where frames
    before a gap would do.
    """
    every = None if isinstance(pace.every, str) else pace.every
    recent, times = _Recent(input_frames, every), array("d")
    last = 0
    for pixels in itertools.islice(video, at):
        last += 1
        recent.add(TimedInput(last, video.time, pixels))
        times.append(math.nan if video.time is None else video.time)
    if at is not None and last < at:
        raise InputError(f"{video.path}: has {last} frames, so --at can be at most {last}, not {at}.")
    timed = last > 0 and not math.isnan(times[-1])
    line = timeline_of(last, times if timed else None, pace=Pace("frame", pace.max_gap))
    begins = [start for start, _ in line.pieces]
    if line.step is None:  # of the whole video, since the first frames alone may not show what is usual
        begins += [gap for gap in number_gaps(video.numbers, pace.max_gap) if gap < last]
    begin = begins[-1]
    frames = [frame for frame in recent.frames if frame.number > begin]
    even = every is not None and line.step is not None and line.step < every and not same_rate(line.step, every)
    chosen = _at_steps(frames, every) if even and every is not None else frames[-input_frames:]
    if len(chosen) < 2:
        raise _alone(video, times, begins, last, every if even else None)
    step = every if even else _step(chosen, line.step, video.fps)
    notes = []
    if begin and len(chosen) < input_frames:
        notes.append(f"{_break(times, begin)}, so only the {len(chosen)} frames after that are read")
    if every is not None and line.step is not None and not even and not same_rate(line.step, every):
        notes.append(
            f"has a frame every {in_words(line.step)}, which cannot be brought to the {in_words(every)} of the training"
        )
    following = Following(video, chosen[-1], step if line.step is not None else None, pace.max_gap, even=even)
    return InputClip(
        inputs=[frame.pixels for frame in chosen],
        first=chosen[0].number,
        last=last,
        following=following,
        followed=following.ahead() is not None,
        fps=video.fps,
        grey=all(is_grey(frame.pixels, video.grey_tolerance) for frame in chosen),
        step=step,
        start=video.start,
        time=chosen[-1].time if line.step is not None else None,
        notes=tuple(notes),
    )


def _at_steps(frames: Sequence[TimedInput], every: float) -> list[TimedInput]:
    """The frames nearest to each step before the last one, as far back as each is within half a step."""
    chosen = [frames[-1]]
    for steps in itertools.count(1):
        nearest = min(frames, key=lambda frame: abs(_apart(frame, frames[-1]) - steps * every))
        if abs(_apart(nearest, frames[-1]) - steps * every) > every / 2 or nearest.number >= chosen[-1].number:
            return chosen[::-1]
        chosen.append(nearest)
    raise AssertionError


def _apart(one: TimedInput, other: TimedInput) -> float:
    """Seconds from one frame to another."""
    assert one.time is not None
    assert other.time is not None
    return other.time - one.time


def _step(frames: Sequence[TimedInput], usual: float | None, fps: float | None) -> float | None:
    """Seconds from one of the frames to the next: the usual ones of the video, unless these frames differ."""
    if usual is None:
        return 1 / fps if fps else None
    own = _apart(frames[0], frames[-1]) / (len(frames) - 1)
    return usual if own <= 0 or same_rate(own, usual) else own


def _break(times: Sequence[float], begin: int) -> str:
    """What separates frame `begin`, counted from 1, from the next."""
    missing = times[begin] - times[begin - 1]
    if math.isnan(missing):
        return f"numbers are missing in the names of its images between frames {begin} and {begin + 1}"
    if missing < 0:
        return f"its times go back between frames {begin} and {begin + 1}"
    return f"there is a gap of {in_words(missing)} between frames {begin} and {begin + 1}"


def _alone(
    video: VideoReader, times: Sequence[float], begins: Sequence[int], last: int, every: float | None
) -> InputError:
    """Why fewer than two frames can be read, and what to do. `begins` are where the video goes on after a gap."""
    begin = begins[-1]
    if begin:
        why = _break(times, begin)
        before = next((after for start, after in list(itertools.pairwise(begins))[::-1] if after - start > 1), None)
        remedy = "give " if before is None else f"give --at {before} to forecast from the frames before, or "
        message = f"{video.path}: frame {last} stands alone, because {why}; {remedy}a larger --max-gap."
        return InputError(message) if before is None else IsolatedFrameError(message, before, why)
    if every is not None:
        length = write_duration(every)
        return InputError(
            f"{video.path}: is shorter than two steps of {length}, at which the run was trained; give a longer one."
        )
    facts = video.facts() if video.kind == "tiff" else SourceFacts()
    if facts.channels > 1:
        axes = f"{split_part(video.path).file}::axes={facts.axes.replace('T', '').replace('C', 'T')}"
        return InputError(
            f"{video.path}: a single frame shows no motion; if its {facts.channels} bands are times, give {axes!r}."
        )
    return InputError(
        f"{video.path}: a single frame shows no motion; give a video of at least 2 frames or a later --at."
    )
