"""Which frames of a video are the steps of its time, and where it is cut because time is missing.

Networks take the frames of a clip for evenly spaced. A video's times say whether they are: a lost frame, a pause of a
camera or a rate that varies makes some steps longer than others. A timeline takes frames at an even step and cuts the
video where that is impossible. Pure arithmetic on times; knows no files.
"""

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.settings import write_duration
from convlstm_cli.video.config import GAP, Pace

SAME_RATE = 0.05
"""How far two steps may differ, as a share, and still count as one rate."""
ROUNDING = 0.001001
"""Seconds, and a little more, to which Matroska and WebM round times: at 30 frames a second 34 ms follow 33 ms."""
FOLLOWED = 0.2
"""Share of a frame's distance from the grid by which the grid moves on with it. A rate that drifts, or differs by as
much as `SAME_RATE`, keeps its frames well within half a step of the grid."""
FURTHEST = 1e12
"""Seconds, 30,000 years, from which on a time is damaged."""
NEIGHBOURS = 8
"""Steps on either side of one that say what is usual there, where the rate may vary."""
LEAST_STEPS = 4
"""Steps of numbers that show which is usual."""
MANY_HOLES = 0.2
"""Share of uneven steps from which numbers are measured values or identifiers, of which none is missing."""
VARYING = 0.05
"""Share of gaps among the steps of a video above which its rate varies, rather than frames being lost."""

Times = NDArray[np.float64]
Piece = tuple[int, int]


@dataclass(frozen=True)
class Timeline:
    """The steps of a video, and the pieces without a gap."""

    taken: Sequence[int]
    """Position, from 0, of the source's frame at each step, ascending; range(T) where every frame is a step."""
    pieces: tuple[Piece, ...]
    """First step, from 0, and the step after the last of each piece, ascending; together they are all steps."""
    step: float | None
    """Seconds between steps; None where the source has no times of use."""
    notes: tuple[str, ...] = ()
    """What was cut or left out and why, a clause each."""

    def source(self, start: int, stop: int) -> Piece:
        """Positions in the source of the first frame of the steps `start` to `stop`, and after the last one."""
        return self.taken[start], self.taken[stop - 1] + 1

    def steps(self, source_start: int, source_stop: int) -> Piece:
        """The first step whose frame lies between two positions in the source, and the step after the last such one."""
        return bisect.bisect_left(self.taken, source_start), bisect.bisect_left(self.taken, source_stop)


def timeline_of(
    frames: int,
    times: Sequence[float] | None,
    numbers: Sequence[float] | None = None,
    pace: Pace = Pace(),  # noqa: B008 - frozen
) -> Timeline:
    """The timeline of a video of at least one frame.

    A step over `pace.max_gap` times the usual one is a gap, and no piece spans one. Between gaps frames are taken at
    the step, each within half a step of an even grid; the grid follows small drifts. Every frame is taken where all of
    them are so; frames between are left out; where the grid meets no frame, the video is cut. With a `max_gap` above
    `GAP` steps up to that length count as one step instead.

    Args:
        frames: number of frames of the source.
        times: seconds of each frame, from any origin. Times that mostly do not rise count as none.
        numbers: what frames are numbered, rising, from any number. Without times a missing number is a gap, unless most
            numbers are missing.
        pace: the step and what counts as a gap. With `every` "frame" every frame is a step, and gaps are judged by the
            steps around them.

    Raises InputError, without the video's name, where its frames are further apart than `pace.every`.
    """
    every, max_gap = pace.every, pace.max_gap
    clock = _usable(times, frames)
    if clock is None:
        cuts = number_gaps(numbers, max_gap)
        doubt = [] if times is None or frames < 2 else ["its times do not rise, so its frames count as evenly spaced"]
        return Timeline(range(frames), _between(cuts, frames), None, (*doubt, *_number_notes(numbers, cuts)))
    usual = usual_step(clock)
    step = usual if isinstance(every, str) else _reachable(every, usual)
    steps = np.diff(clock)
    around = _around(steps, usual) if every == "frame" else step
    gaps = np.flatnonzero(steps > max_gap * around) + 1
    backwards = np.flatnonzero(steps < 0) + 1
    runs = _between({*gaps.tolist(), *backwards.tolist()}, frames)
    if every == "frame":
        return Timeline(range(frames), runs, usual, (*_gap_notes(steps, gaps), *_backward_notes(backwards)))
    pieces: list[Piece] = []
    taken: list[int] = []
    for start, stop in runs:
        for piece in _at_step(clock[start:stop], step, max_gap):
            pieces.append((len(taken), len(taken) + len(piece)))
            taken += [start + position for position in piece]
    uneven = len(pieces) > len(runs) or (every == "auto" and len(taken) < frames) or len(gaps) > VARYING * len(steps)
    notes = _varying_notes(steps) if uneven else []
    if notes:  # then most gaps are of the slower rate
        gaps = gaps[steps[gaps - 1] > max_gap * _slow(steps)]
    notes += [*_gap_notes(steps, gaps), *_backward_notes(backwards)]
    if len(taken) < frames:
        notes.append(f"{len(taken)} of its {frames} frames are taken, one every {in_words(step)}")
    return Timeline(range(frames) if len(taken) == frames else tuple(taken), tuple(pieces), step, tuple(notes))


def number_gaps(numbers: Sequence[float] | None, max_gap: float = GAP) -> list[int]:
    """Positions of the frames before which numbers are missing; none where too many are, since then they measure."""
    steps = np.diff(np.asarray(numbers if numbers is not None else (), np.float64))
    if len(steps) < LEAST_STEPS:
        return []
    usual = float(np.percentile(steps, 50, method="lower"))
    if np.count_nonzero(np.abs(steps - usual) > usual / 2) > MANY_HOLES * len(steps):
        return []
    return [int(position) for position in np.flatnonzero(steps > max_gap * usual) + 1]


def usual_step(times: Times) -> float:
    """The usual seconds between frames: the mean of those steps that lie close to the median of all that rise."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    median = float(np.percentile(steps, 50, method="lower"))  # one of the steps, not a value between two
    return float(np.mean(steps[np.abs(steps - median) <= max(SAME_RATE * median, ROUNDING)]))


def same_rate(step: float, other: float) -> bool:
    """Whether two steps, in seconds, count as one rate."""
    return max(step, other) <= (1 + SAME_RATE) * min(step, other)


def in_words(seconds: float) -> str:
    """A stretch of time for people, such as 33.3 ms, 60 s and 40 min."""
    units = ((0.9995, 1e-3, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h"))
    length, unit = next(((length, unit) for below, length, unit in units if seconds < below), (86400.0, "days"))
    return f"{float(f'{seconds / length:.3g}'):g} {unit}"


def _usable(times: Sequence[float] | None, frames: int) -> Times | None:
    """The times as an array; None where they are of no use."""
    if times is None or len(times) != frames or frames < 2:
        return None
    clock = np.asarray(times, np.float64)
    if not (np.abs(clock) < FURTHEST).all():  # nor what is not a number
        return None
    rising = np.count_nonzero(np.diff(clock) > 0)
    return clock if 2 * rising >= frames - 1 else None


def _reachable(every: float, usual: float) -> float:
    """The step of a video that is brought to `every`. Raises InputError where it has too few frames for that."""
    if same_rate(every, usual):
        return usual  # its own, so that rounding of what was asked for leaves no frame out
    if usual > every:
        raise InputError(
            f"has a frame every {in_words(usual)}, too few for a step of {write_duration(every)}; leave it out, or "
            f"train at --every {write_duration(usual)} or longer."
        )
    return every


def _around(steps: Times, usual: float) -> Times:
    """What is usual around each step: the longer of the medians of the steps before and after it."""
    filled = np.pad(steps, NEIGHBOURS, constant_values=usual)
    # Not np.median, which imports numpy.ma, in 10 ms.
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(filled, NEIGHBOURS), axis=1)
    medians = (ordered[:, NEIGHBOURS // 2 - 1] + ordered[:, NEIGHBOURS // 2]) / 2
    around = np.maximum(medians[: len(steps)], medians[NEIGHBOURS + 1 :])
    # At high rates rounding makes steps of 2 and 3 ms of 2.2 ms.
    return np.where(np.abs(around - usual) <= ROUNDING, np.maximum(around, usual), around)


def _between(cuts: Iterable[int], frames: int) -> tuple[Piece, ...]:
    """The stretches of frames from each cut to the next."""
    ends = [0, *sorted(cuts), frames]
    return tuple(itertools.pairwise(ends))


def _at_step(times: Times, step: float, max_gap: float) -> list[list[int]]:
    """Positions of the frames nearest to an even grid from the first frame on, in pieces that miss no grid time."""
    even = np.linspace(times[0], times[-1], len(times))
    own = (times[-1] - times[0]) / max(1, len(times) - 1)
    if len(times) == 1 or (same_rate(own, step) and np.ptp(times - even) <= step / 4):
        return [list(range(len(times)))]
    clock, last, grid = times.tolist(), 0, float(times[0])
    pieces = [[0]]
    while last + 1 < len(clock):
        grid += step
        found = _nearest(clock, last + 1, grid, step / 2)
        if found is None:
            found = next((i for i in range(last + 1, len(clock)) if clock[i] > grid), None)
            if found is None:
                break  # all that is left lies before the next step
            if max_gap <= GAP or clock[found] - clock[last] > max_gap * step:
                pieces.append([])
            grid = clock[found]
        if found + 1 == len(clock) and grid - clock[found] > 0.5 * own:
            break  # the frame that would be nearest comes after the end
        pieces[-1].append(found)
        grid += FOLLOWED * (clock[found] - grid)
        last = found
    return pieces


def _nearest(clock: Sequence[float], first: int, time: float, within: float) -> int | None:
    """Position, from `first` on, of the frame nearest to a time and at most `within` from it; the earlier of two."""
    nearest, best = None, within
    for position in range(first, len(clock)):
        if clock[position] - time > best:
            break
        distance = abs(clock[position] - time)
        if distance <= within and (nearest is None or distance < best - 1e-6 * within):
            nearest, best = position, distance
    return nearest


def _gap_notes(steps: Times, gaps: NDArray[np.intp]) -> list[str]:
    if not len(gaps):
        return []
    after = int(gaps[np.argmax(steps[gaps - 1])])
    longest = f"{in_words(float(steps[after - 1]))} between frames {after} and {after + 1}"
    return [f"there is a gap of {longest}" if len(gaps) == 1 else f"there are {len(gaps)} gaps, the longest {longest}"]


def _number_notes(numbers: Sequence[float] | None, gaps: Sequence[int]) -> list[str]:
    steps = np.diff(np.asarray(numbers if numbers is not None else (), np.float64))
    if not gaps:
        uneven = len(steps) > 1 and steps.max() > GAP * steps.min()
        return ["the numbers in the names of its images rise unevenly, and count as even"] if uneven else []
    after = int(np.argmax(steps)) + 1
    enough = math.ceil(float(steps.max() / np.percentile(steps, 50, method="lower")))
    where = f"between frames {after} and {after + 1}"
    if len(gaps) > 1:
        where = f"at {len(gaps)} places, most {where}"
    return [
        f"numbers are missing in the names of its images {where}, so it is cut; --max-gap {enough} goes on over that"
    ]


def _backward_notes(backwards: NDArray[np.intp]) -> list[str]:
    if not len(backwards):
        return []
    more = f" and at {len(backwards) - 1} more" if len(backwards) > 1 else ""
    return [f"its times go back at frame {backwards[0] + 1}{more}, so it is cut there"]


def _varying_notes(steps: Times) -> list[str]:
    """Says that the rate varies, where it does so by more than rounding."""
    shortest, longest = float(np.percentile(steps[steps > 0], 5, method="lower")), _slow(steps)
    if longest - shortest <= 2 * SAME_RATE * shortest + 2 * ROUNDING:
        return []
    return [
        f"its frame rate varies ({in_words(shortest)} to {in_words(longest)} between frames); "
        f"--every {write_duration(longest)} brings it to one rate"
    ]


def _slow(steps: Times) -> float:
    """A long one of the steps that rise, without the few longest."""
    return float(np.percentile(steps[steps > 0], 95, method="lower"))
