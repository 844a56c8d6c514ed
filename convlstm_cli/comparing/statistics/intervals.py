"""Intervals of the mean of a metric over other seeds and other videos, within the bounds of the metric."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.statistics import jackknife
from convlstm_cli.comparing.statistics.significance import ALPHA, FURTHEST
from convlstm_cli.scoring.comparison_result import Interval

Array = NDArray[np.float64]
Bounds = tuple[float, float]
"""Least and largest value that a metric can have; -inf and inf where there is none."""

TINY = float(np.finfo(np.float64).tiny)


def arm_interval(values: Array, videos: Sequence[str], bounds: Bounds) -> list[Interval] | None:
    """95 % intervals, by lead time, of the mean of `values` over other seeds and videos.

    The interval is symmetric on a scale without ends, `log((x - low) / (high - x))`, and brought back from there: so it
    ends within the bounds, and holds the mean. (A bound that is infinite drops out of the formula.) The standard error
    on that scale is the jackknife's, over seeds and over videos, and the critical value that of `significance`.

    These intervals are wider than those of differences, in which the videos' difficulty cancels. In simulations of 2000
    comparisons with 3 seeds and 3, 4, 9 or 30 videos they held the truth in 93 to 97 % where SSIM is logit-normal over
    the videos (standard deviation 1 and 2), and in 91 to 96 % where MSE is log-normal (0.5 and 1). Intervals that are
    symmetric on the metric's own scale held it in 85 to 97 %, and with 3 videos most of them ended beyond a bound.

    Args:
        values: (seeds, clips, lead times).
        videos: the name of each clip's video.
        bounds: of the metric.

    Returns the ends at each lead time; None with one seed and one video.
    """
    sums = jackknife.cells(values, videos)
    clips = jackknife.cells(np.ones_like(values), videos)
    if sums.shape[:2] == (1, 1):
        return None
    found = jackknife.estimate(sums, clips, lambda mean: _unbounded(mean, bounds))
    half = found.critical(ALPHA) * found.error
    mean = jackknife.quotient(sums.sum(axis=(0, 1)), clips.sum(axis=(0, 1)))
    low = np.minimum(_bounded(found.value - half, bounds), mean)
    high = np.maximum(_bounded(found.value + half, bounds), mean)
    ends = np.clip(np.stack((low, high), axis=1), *bounds)  # a mean can lie beyond a bound by its rounding
    return [(float(low), float(high)) for low, high in ends]


def _unbounded(values: Array, bounds: Bounds) -> Array:
    """Values between the bounds, on a scale without ends; those at a bound become large and stay finite."""
    low, high = bounds
    if np.isinf(low) and np.isinf(high):
        return values
    below = np.log(np.maximum(values - low, TINY)) if np.isfinite(low) else 0.0
    above = np.log(np.maximum(high - values, TINY)) if np.isfinite(high) else 0.0
    return np.asarray(below - above)


def _bounded(places: Array, bounds: Bounds) -> Array:
    """The inverse of `_unbounded`."""
    low, high = bounds
    if np.isinf(low) and np.isinf(high):
        return places
    if np.isinf(high):
        return np.asarray(low + np.exp(np.minimum(places, FURTHEST)))
    if np.isinf(low):
        return np.asarray(high - np.exp(np.minimum(-places, FURTHEST)))
    share = 0.5 * (1 + np.tanh(places / 2))  # the logistic function, without overflow
    return np.asarray(low + (high - low) * share)
