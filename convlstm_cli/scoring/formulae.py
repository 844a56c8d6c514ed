"""Formulae of scores, of plain numbers."""

import math
from collections.abc import Sequence


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values in [0, 1].

    Infinite for 0, and NaN for NaN, where there is no truth.
    """
    return -10.0 * math.log10(mse) if mse > 0 else math.nan if math.isnan(mse) else math.inf


def skill(mse: float, reference: float) -> float:
    """1 - MSE / MSE of the reference: 1 is perfect, 0 as good as the reference, negative worse."""
    if reference > 0:
        return 1.0 - mse / reference
    return 0.0 if mse == 0 else -math.inf


def spread_skill(variance: float, mse: float, members: int) -> float:
    """The spread-skill ratio of an ensemble, corrected for its size (Fortin et al. 2014, J. Hydrometeorol. 15).

        sqrt((M + 1) / M) * sqrt(mean variance) / sqrt(mean squared error of the ensemble's mean)

    It is 1 where the members differ from each other as the truth differs from them. Below 1 the members agree more
    than they are right. Both means are over the same pixels and clips.

    Args:
        variance: mean of the unbiased variance over the members.
        mse: mean squared error of the mean of the members.
        members: M, at least 2.

    Returns the ratio; infinite where the mean is exact and the members differ, NaN where both are 0.
    """
    if mse > 0:
        return math.sqrt((members + 1) / members * variance / mse)
    return math.inf if variance > 0 else math.nan


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def known_mean(by_lead_time: Sequence[float]) -> float:
    """Arithmetic mean of the lead times at which there is a truth; NaN where there is none at all."""
    known = [value for value in by_lead_time if not math.isnan(value)]
    return mean(known) if known else math.nan


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return float(value) if math.isfinite(value) else None
