"""Stretches of videos that show the same moments: cut from one recording, compressed again, or shown twice."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.leaks.candidates import LEAST_PERIOD, candidates
from convlstm_cli.video.leaks.prints import Prints

LAGS = (1, 2, 4)
"""Frames over which a moment has to differ from those before and after it."""
ACTIVE = 6.0
"""Levels by which a cell changes over one of the lags where something moves; noise and compression change it less."""
TOLERANCE = 3.0
"""Root mean square difference, in levels, that compression leaves at most in the cells where something moves."""
EXACT_TOLERANCE = 1.0
"""The same where compression leaves no trace in the other cells."""
NOISE_FACTOR = 4.0
"""Times that compression changes moving cells more than still ones."""
RELATIVE = 0.12
"""The same as a share of the change, where more moves than one small object: strong compression of small frames."""
MANY_CELLS = 8
"""Cells that change where more moves than one small object."""
DISTINCT = 2.0
"""Times that the moments before and after differ more than the same moment does."""
LEAST_MATCHED = 5
"""Frames in which much moves, or which are equal, that have to agree; more where less moves."""
SCENE = 20
"""Frames that are enough where others do not agree, as in edited versions of one recording. Things that happen to move
alike agree for fewer."""
RETIMED = 15
"""Frames that have to agree in all where several stretches follow each other."""
LEAST_SHARE, ROUGHLY = 0.8, 1.4
"""Share of all frames with motion, of those that both videos would show, that agree at `ROUGHLY` times the tolerance in
clips of one recording."""
FEW, CLOSE = 15, 1.5
"""Frames of which fewer, such as the ends of two videos, have to agree to so many levels."""
MOST_OFFSET = 16
"""Levels by which one video may be brighter than the other."""
SHOWN = 3
"""Overlaps that `describe` names."""
SLIP = 4
"""Frames by which a second shift of the same two videos has to differ; slow motion looks alike within fewer."""
BESIDE = 2
"""Frames beside two likely shifts of two videos, within which others are tried where none of these is right."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Overlap:
    """Frames `start` to `start + frames` of `first` show the same moments as those of `second`, `shift` earlier."""

    first: str
    """Name of a video."""
    second: str
    """Name of the other; the same where a video repeats itself."""
    shift: int
    """Frame `i` of `first` is frame `i - shift` of `second`."""
    start: int
    """Position in `first` of the first frame that both show, from 0."""
    frames: int
    """Number of frames that both show."""


class Stretch(NamedTuple):
    """Frames of a video that another one seems to show too."""

    start: int
    stop: int
    in_passing: bool
    """Whether they may be of things that move alike for a moment."""


def find_overlaps(prints: Mapping[str, Prints]) -> tuple[Overlap, ...]:
    """Overlaps of the videos with each other and with themselves, by name; enough of them to connect all that share.

    A stretch counts where `LEAST_MATCHED` frames or more with motion agree and differ from the frames around them, so
    still scenes, black frames and a common background are none. One video may be brighter than the other by a constant.
    """
    names = list(prints)
    return _verified(names, [prints[name] for name in names], None)


def describe(overlaps: Sequence[Overlap], divided: Collection[str]) -> list[str]:
    """The overlaps in a line or two for people; `divided` are the names of the videos that a split divides in time."""
    pairs = [f"{o.first} and {o.second}: {o.frames} frames" for o in overlaps if o.first != o.second]
    loops = [f"{o.first} after {o.shift} frames" for o in overlaps if o.first == o.second and o.first in divided]
    lines = []
    if pairs:
        lines.append(f"videos show the same moments, none of which is in two parts of the split ({_some(pairs)})")
    if loops:
        lines.append(
            f"videos repeat themselves, so that the test shows what trained; add other videos ({_some(loops)})"
        )
    return lines


def _some(items: Sequence[str]) -> str:
    """A few of the items."""
    return ", ".join([*items[:SHOWN], f"and {len(items) - SHOWN} more"] if len(items) > SHOWN else items)


def overlaps_between(some: Mapping[str, Prints], others: Mapping[str, Prints]) -> tuple[Overlap, ...]:
    """Overlaps of which `first` is one of `some` and `second` one of `others`."""
    names = [*some, *others]
    return _verified(names, [*some.values(), *others.values()], [0] * len(some) + [1] * len(others))


def _verified(names: Sequence[str], prints: Sequence[Prints], sides: Sequence[int] | None) -> tuple[Overlap, ...]:
    shifts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for each in candidates(prints, sides):
        shifts[each.first, each.second].append(each.shift)
    found: list[Overlap] = []
    for (first, second), likely in shifts.items():
        pair = names[first], names[second], prints[first], prints[second]
        found += _shown_by_both(*pair, likely) or _shown_by_both(*pair, _beside(likely, is_itself=first == second))
    return tuple(found)


def _beside(shifts: Sequence[int], *, is_itself: bool) -> list[int]:
    """Shifts near two of these. In slow motion they look alike, and the noise of two codecs may hide the right one."""
    near = Counter(shift + by for shift in shifts for by in range(-BESIDE, BESIDE + 1))
    return sorted(
        shift
        for shift, count in near.items()
        if count > 1 and shift not in shifts and (not is_itself or shift >= LEAST_PERIOD)
    )


def _shown_by_both(first: str, second: str, one: Prints, other: Prints, shifts: Sequence[int]) -> list[Overlap]:
    """The overlaps of two videos at some of these shifts."""
    certain: list[Overlap] = []
    passing: list[Overlap] = []
    for shift in shifts:
        stretch = _same_moments(one, other, shift)
        if stretch is not None:
            overlap = Overlap(first, second, shift, stretch.start, stretch.stop - stretch.start)
            (passing if stretch.in_passing else certain).append(overlap)
    return _without_slips(certain or _retimed(passing))


def _retimed(overlaps: Sequence[Overlap]) -> list[Overlap]:
    """Overlaps that follow each other in both videos, as where one has another frame rate; empty where they do not."""
    chain: list[Overlap] = []
    for overlap in sorted(overlaps, key=lambda overlap: overlap.start):
        if not chain or _follows(chain[-1], overlap):
            chain.append(overlap)
    return chain if len(chain) > 1 and sum(overlap.frames for overlap in chain) >= RETIMED else []


def _follows(one: Overlap, other: Overlap) -> bool:
    """Whether an overlap begins in both videos where another one has ended, but for the frames where both agree."""
    starts = other.start - one.start, (other.start - other.shift) - (one.start - one.shift)
    return other.shift != one.shift and min(starts) >= one.frames - SLIP


def _without_slips(overlaps: list[Overlap]) -> list[Overlap]:
    """The overlaps of a pair, the longest first, without those whose shift is nearly that of a longer one."""
    kept: list[Overlap] = []
    for overlap in sorted(overlaps, key=lambda overlap: (-overlap.frames, overlap.shift)):
        if all(abs(overlap.shift - other.shift) > SLIP for other in kept):
            kept.append(overlap)
    return kept


def _same_moments(first: Prints, second: Prints, shift: int) -> Stretch | None:
    """The longest stretch of frames of `first` that `second` shows `shift` frames earlier; None where it is too short.

    Frames that agree with motion in them count for a stretch, still ones neither for nor against it, and those that
    differ against it.
    """
    low, high = max(0, shift), min(len(first), len(second) + shift)
    if high - low < LEAST_MATCHED:
        return None
    one, other = first[low:high].astype(np.float32), second[low - shift : high - shift].astype(np.float32)
    _balance(one, other)
    squares = np.square(one - other)
    active = (_change(one) >= ACTIVE) | (_change(other) >= ACTIVE)
    cells = active.sum(axis=1)
    error = np.sqrt((squares * active).sum(axis=1) / np.maximum(1, cells))
    around = _around(one, other, active) / np.sqrt(np.maximum(1, cells))
    still = ~active
    noise = np.sqrt((squares * still).sum() / max(1, still.sum()))
    least = min(TOLERANCE, EXACT_TOLERANCE + NOISE_FACTOR * noise)
    tolerance = np.where(cells >= MANY_CELLS, np.maximum(TOLERANCE, RELATIVE * around), least)
    exact = squares.max(axis=1) == 0
    changed = np.r_[False, (one[1:] != one[:-1]).any(axis=1)]
    moving = (cells > 0) & (error <= tolerance) & (around >= DISTINCT * error)
    agreeing = moving | (exact & changed)
    differing = ~agreeing & ((cells > 0) & ~exact | (np.sqrt(squares.mean(axis=1)) > TOLERANCE))
    start, stop = _best_stretch(np.where(agreeing, 1.0, np.where(differing, -2.0, 1e-6)))
    # The empty scene between two events, such as showers, is no evidence that they are the same.
    empty = (np.abs(one - np.median(one, axis=0)) <= 1).all(axis=1)
    equal = len(exact) >= FEW and bool(exact.all())
    weight = np.clip(cells / MANY_CELLS, 0.5 if equal else 0.0, 1.0)
    evidence = (weight * (agreeing & ~empty))[start:stop]
    if evidence.sum() < LEAST_MATCHED:
        return None
    in_passing = False
    if evidence.sum() < SCENE and not equal:
        roughly = agreeing | (differing & (error <= ROUGHLY * tolerance))
        vague = roughly.sum() < FEW and error[agreeing].mean() > CLOSE
        in_passing = bool(vague or roughly.sum() < LEAST_SHARE * (agreeing | differing).sum())
    return Stretch(low + start, low + stop, in_passing)


def _balance(one: Floats, other: Floats) -> None:
    """Makes the brighter of two videos as bright as the other, in place, cut at black as a darker copy is."""
    inside = (one > 0) & (other > 0) & (one < 255) & (other < 255)
    offset = np.clip(np.median(other[inside] - one[inside]), -MOST_OFFSET, MOST_OFFSET) if inside.any() else 0.0
    brighter = other if offset > 0 else one
    np.maximum(brighter - abs(offset), 0, out=brighter)


def _change(video: Floats) -> Floats:
    """(T, cells): how much each cell changes over the lags, before or after each frame."""
    most = np.zeros_like(video)
    for lag in LAGS:
        change = np.abs(video[lag:] - video[:-lag])
        np.maximum(most[lag:], change, out=most[lag:])
        np.maximum(most[:-lag], change, out=most[:-lag])
    return most


def _around(one: Floats, other: Floats, active: NDArray[np.bool_]) -> Floats:
    """(T,): distance in the active cells of each frame of one video to the nearer of those a lag before and after."""
    most = np.zeros(len(one), np.float32)
    for lag in LAGS:
        near = np.full(len(one), np.inf, np.float32)
        for ours, theirs in ((slice(lag, None), slice(None, -lag)), (slice(None, -lag), slice(lag, None))):
            squares = np.square(one[ours] - other[theirs]) * active[ours]
            near[ours] = np.minimum(near[ours], np.sqrt(squares.sum(axis=1)))
        most = np.maximum(most, np.where(np.isfinite(near), near, 0))
    return most


def _best_stretch(score: NDArray[np.float64]) -> tuple[int, int]:
    """Start and stop of the consecutive entries with the largest sum."""
    sums = np.r_[0.0, np.cumsum(score)]
    least = np.minimum.accumulate(sums)
    stop = int(np.argmax(sums - least))
    return int(np.argmax(sums[: stop + 1] == least[stop])), stop
