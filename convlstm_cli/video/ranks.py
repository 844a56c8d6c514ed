"""Values of frames by rank: a few numbers a frame that keep its extremes, and the range of the values of many.

Imports no torch and no OpenCV.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.values import ValueRange, known

Values: TypeAlias = NDArray[Any]
Ranks: TypeAlias = NDArray[np.float64]
"""(..., COLUMNS): the number of values, some up to the median from the least on, and some from there to the most."""

_STEPS = np.array(sorted({0, 2**40, *(2**power for power in range(24)), *(3 * 2**power for power in range(23))}))
"""Ranks from each end that are kept, as far as they lie in that half of the values; the last is that of the median."""
COLUMNS = 1 + 2 * len(_STEPS)

SAMPLE = 2**16
"""Values of a frame, evenly spread, that are put in order."""
EXACT = 2**6
"""Values of the sample at each end beyond which all values are."""

FEW, FEW_BESIDE = 1e-3, 0.05
"""Largest share of all values, and of those on the same side of the median, that outliers can be."""
APART, STUCK_APART = 1.0, 0.5
"""How far beyond the other values outliers lie, in the distance of these from the median: those that differ, and those
that are all the same, as the values of a stuck pixel are."""
SKEWED = 1 / 32
"""Share of a range that the median of values above its least stays below where they are heavily skewed."""


def ranks_of(values: Values) -> Ranks:
    """Values of any shape, none missing, by rank, (COLUMNS,): exact at the ends, and of a `SAMPLE` between them."""
    if not values.size:
        return np.zeros(COLUMNS)
    values = values.ravel()
    step = max(1, values.size // SAMPLE) | 1  # odd, so that no column is met each time
    sample = np.sort(values[::step])
    inner = min(EXACT, (len(sample) - 1) // 2)
    least, most = values[values < sample[inner]], values[values > sample[-1 - inner]]
    ranks = np.minimum(_STEPS, (values.size - 1) // 2)
    ends = (np.sort(least), sample), (np.sort(most)[::-1], sample[::-1])
    low, high = (np.concatenate(end)[np.where(ranks < len(end[0]), ranks, len(end[0]) + ranks // step)] for end in ends)
    return np.concatenate(([values.size], low, high[::-1])).astype(np.float64)


def ranks_of_frame(frame: Values, missing: float | None = None) -> Ranks:
    """The values of each channel of a frame (H, W, C) by rank, without those that are `missing`, (C, COLUMNS)."""
    return np.stack([ranks_of(known(frame[:, :, channel], missing)) for channel in range(frame.shape[2])])


def range_of(ranks: Ranks, *, unit: str = "", log: bool = False) -> ValueRange:
    """The range of values from the least to the largest but for outliers, and from 0 to 1 where there are none.

    Outliers are few and lie apart, as a stuck pixel or an undeclared -9999 does. The tail of a distribution, such as
    the heaviest rain, has none.
    """
    values, counts = _pooled(ranks.reshape(-1, COLUMNS))
    if not len(values):
        return ValueRange(0.0, 1.0, unit, log)
    middle = _median(values, counts)
    most = values[_last(values - middle, counts)]
    kept = values <= most
    least = values[kept][::-1][_last((middle - values[kept])[::-1], counts[kept][::-1])]
    return ValueRange(float(least), float(most if least < most else least + 1.0), unit, log)


def ends_of(ranks: Ranks) -> tuple[float, ...]:
    """The least and the largest of the values (..., COLUMNS), outliers or not; nothing where there are none."""
    rows = ranks.reshape(-1, COLUMNS)
    rows = rows[rows[:, 0] > 0]
    return (float(rows[:, 1].min()), float(rows[:, -1].max())) if len(rows) else ()


def is_skewed(ranks: Ranks, values: ValueRange) -> bool:
    """Whether of the values (..., COLUMNS) most of those above 0 are so small that a linear range hardly shows them."""
    found, counts = _pooled(ranks.reshape(-1, COLUMNS))
    above = found > values.low
    if values.log or values.low < 0 or not above.any():
        return False
    return _median(found[above], counts[above]) - values.low < SKEWED * values.span


def _pooled(ranks: Ranks) -> tuple[Ranks, Ranks]:
    """Values in ascending order, and how many each stands for: those that are nearer in rank than to the next."""
    halves = (ranks[:, :1] + 1) // 2
    steps = np.minimum(_STEPS, np.maximum(halves - 1, 0))
    bounds = np.concatenate((np.zeros_like(halves), (steps[:, :-1] + 1 + steps[:, 1:]) / 2, halves), axis=1)
    beside = np.diff(np.minimum(bounds, halves), axis=1)
    counts = np.concatenate((beside, beside[:, ::-1]), axis=1).ravel()
    values = ranks[:, 1:].ravel()[counts > 0]
    order = np.argsort(values)
    return values[order], counts[counts > 0][order]


def _last(offsets: Ranks, counts: Ranks) -> int:
    """The position of the last value that is no outlier, of values in ascending order by their offset from the median.

    Gaps are logarithmic: for uniform values a stuck one is four times as far from the median as the last of the others,
    while the heaviest of a heavy tail may lie a multiple beyond the second.
    """
    above, below = offsets > 0, offsets < 0
    beside, opposite = offsets[above], -offsets[below][::-1]
    if not len(beside):
        return len(offsets) - 1
    beyond = counts[above][::-1].cumsum()[::-1]
    few = beyond <= min(FEW * counts.sum(), FEW_BESIDE * max(beyond[0], counts[below].sum()))
    alone = bool(few[0])  # as -9999 among rain, of which the median is the least value
    typical = _median(opposite, counts[below][::-1]) if alone else _median(beside, counts[above])
    far = _ratio(beside, typical)
    before = np.concatenate(([0.0], far[:-1]))
    reach = np.maximum(before, _ratio(opposite[-1], typical)) if alone else before
    stuck = (beside == beside[-1]) & (beyond > 1)
    apart = np.flatnonzero(few & (far - before > np.where(stuck, STUCK_APART, APART) * reach))
    return len(offsets) - 1 if not len(apart) else len(offsets) - len(beside) + int(apart[0]) - 1


def _median(values: Ranks, counts: Ranks) -> float:
    """The median of values in ascending order, by how many each stands for."""
    return float(values[np.searchsorted(counts.cumsum(), counts.sum() / 2)])


def _ratio(far: Any, typical: float) -> Any:
    """log(1 + far / typical), also where the quotient is beyond what floats hold."""
    return np.logaddexp(0.0, np.log(far) - np.log(typical))
