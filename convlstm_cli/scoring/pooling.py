"""How the numbers that are kept of clips become a metric of all of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.scoring.formulae import known_mean, psnr

Rows = NDArray[np.float64]
"""(clips, lead times)."""

VALID = "valid"
"""The column of the shares of a frame's pixels that have a truth."""


@dataclass(frozen=True)
class Kept:
    """What is kept of some clips, for metrics to pool."""

    columns: Mapping[str, Rows]
    frame_values: int
    """Values of a frame: channels x height x width."""
    span: float = 1.0
    """`ValueRange.scored_span` of the values."""

    def means(self, column: str) -> list[float]:
        """Mean over the pixels with a truth of all clips, by lead time; NaN where there is none."""
        pairs = zip(self.columns[column].sum(axis=0), self.columns[VALID].sum(axis=0), strict=True)
        return [_ratio(over, under) for over, under in pairs]

    def total(self, columns: Sequence[str]) -> Rows:
        """The sum of several columns, clip by clip."""
        return np.asarray(np.sum([self.columns[name] for name in columns], axis=0))


@dataclass(frozen=True)
class Pooling:
    """How what is kept of clips becomes a metric; NaN where it is undefined."""

    by_lead_time: Callable[[Kept], list[float]]
    overall: Callable[[Kept], float]
    """Over all lead times."""


def averaged(column: str) -> Pooling:
    """The mean over clips, and over lead times."""
    return Pooling(lambda kept: kept.means(column), lambda kept: known_mean(kept.means(column)))


def summed(column: str) -> Pooling:
    """The sum over the values of a frame of what the column has the mean of; the mean over clips and lead times."""

    def sums(kept: Kept) -> list[float]:
        return [value * kept.frame_values for value in kept.means(column)]

    return Pooling(sums, lambda kept: known_mean(sums(kept)))


def peak_ratio(column: str) -> Pooling:
    """The peak signal-to-noise ratio of the range of values, from the mean squared errors in a column."""

    def ratio(kept: Kept, mse: float) -> float:
        return psnr(mse / kept.span**2)

    return Pooling(
        lambda kept: [ratio(kept, mse) for mse in kept.means(column)],
        lambda kept: ratio(kept, known_mean(kept.means(column))),
    )


def quotient(above: Sequence[str], below: Sequence[str]) -> Pooling:
    """The sum of the columns `above` over that of `below`, each summed over clips and lead times first."""

    def by_lead_time(kept: Kept) -> list[float]:
        pairs = zip(kept.total(above).sum(axis=0), kept.total(below).sum(axis=0), strict=True)
        return [_ratio(over, under) for over, under in pairs]

    def overall(kept: Kept) -> float:
        return _ratio(kept.total(above).sum(), kept.total(below).sum())

    return Pooling(by_lead_time, overall)


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan
