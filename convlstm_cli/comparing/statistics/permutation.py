"""A permutation test of two arms: their labels are exchanged within cells, each of which is a seed and a video.

`scipy.stats.permutation_test` would call the statistic on resampled arms; here sums of signs give it for thousands of
exchanges and all lead times at once.
"""

import math

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.statistics import jackknife

Array = NDArray[np.float64]

EXACT = 4096
"""Up to so many different exchanges of labels, all are enumerated."""
CHUNK = 2**22
"""Largest number of values that a table of permutations holds at a time."""


def permutation_p(difference: Array, total: Array, permutations: int, seed: int) -> Array:
    """Two-sided p value of each column if the arms' labels are exchanged at random within each cell.

    The statistic is the sum of `difference` over the sum of `total`, in units of its jackknife standard error. The p
    value is exact where no more than `EXACT` exchanges differ (to exchange all cells changes no statistic). Otherwise
    the observed labels count as one of the draws (Phipson & Smyth 2010), so that the smallest p value is
    1 / (`permutations` + 1).

    Args:
        difference: difference of the two arms' errors, (seeds, videos, columns).
        total: their sum, of the same shape.
        permutations: number of draws where not all exchanges are enumerated.
        seed: seed of the draws.
    """
    seeds, videos, columns = difference.shape
    cells = seeds * videos
    exact = 2 ** (cells - 1) <= EXACT
    count = 2 ** (cells - 1) if exact else permutations
    observed = _studentised(np.ones((1, seeds, videos)), difference, total)
    random = np.random.default_rng(seed)
    at_least = np.zeros(columns)
    step = max(1, CHUNK // (cells + (seeds + videos) * columns))
    for begin in range(0, count, step):
        rows = min(step, count - begin)
        if exact:
            flipped = (np.arange(begin, begin + rows)[:, None] >> np.arange(cells)) & 1
        else:
            flipped = random.integers(0, 2, (rows, cells), dtype=np.int8)
        signs = np.where(flipped, -1.0, 1.0).reshape(rows, seeds, videos)
        drawn = _studentised(signs, difference, total)
        # A statistic that equals the observed one must count in spite of its rounding.
        at_least += (drawn >= observed * (1 - 1e-9)).sum(axis=0)
    return at_least / count if exact else (at_least + 1) / (count + 1)


def fewest_seeds(videos: int, level: float) -> int:
    """The fewest seeds with which the permutation test can get below `level`, 2 at least."""
    cells = math.floor(math.log2(2 / level)) + 1
    return max(2, math.ceil(cells / videos))


def _studentised(signs: Array, difference: Array, total: Array) -> Array:
    """Statistics of sets of signs, from (sets, seeds, videos) to (sets, columns)."""
    by_seed = signs.transpose(1, 0, 2) @ difference  # (seeds, sets, columns)
    by_video = signs.transpose(2, 0, 1) @ difference.transpose(1, 0, 2)
    totals = [total.sum(axis=axis)[:, None] for axis in (1, 0)]
    error = np.sqrt(
        jackknife.variance(by_seed, totals[0], np.asarray) + jackknife.variance(by_video, totals[1], np.asarray)
    )
    ratio = abs(jackknife.quotient(by_seed.sum(axis=0), totals[0].sum(axis=0)))
    statistic = np.where(ratio == 0, 0.0, np.inf)
    return np.divide(ratio, error, out=statistic, where=error > 0)
