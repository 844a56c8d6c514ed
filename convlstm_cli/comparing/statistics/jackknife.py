"""A mean over seeds and videos, both drawn at random, and its variance over other draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.statistics import behrens_fisher

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A function of pooled quantities and its variance in two parts; every array is (columns,)."""

    value: Array
    seeds: Array
    """Variance from seeds; 0 with one seed, since the estimate is about that seed only then."""
    videos: Array
    """Variance from videos; 0 with one video likewise."""
    cells: Array
    """Variance if all cells (a seed and a video) were independent. `seeds` and `videos` both contain it."""
    seeds_degrees: Array
    """Degrees of freedom of `seeds`."""
    videos_degrees: Array
    """Degrees of freedom of `videos`."""

    @property
    def error(self) -> Array:
        """Standard error."""
        return np.sqrt(self.seeds + self.videos)

    def first(self) -> "Estimate":
        """The first column alone."""
        return Estimate(*(values[:1] for values in vars(self).values()))

    def p(self, shift: float = 0.0) -> Array:
        """Two-sided p value for a true value of 0, with the statistic moved `shift` standard errors towards 0."""
        error = self.error
        statistic = np.where(self.value == 0, 0.0, np.inf)
        np.divide(abs(self.value), error, out=statistic, where=error > 0)
        return behrens_fisher.two_sided(np.maximum(statistic - shift, 0), *self._shape())

    def critical(self, level: float) -> Array:
        """Half the length of a 1 - `level` interval, in standard errors."""
        return behrens_fisher.critical(level, *self._shape())

    def _shape(self) -> tuple[Array, Array, Array]:
        share = np.full_like(self.value, 0.5)
        np.divide(self.seeds, self.seeds + self.videos, out=share, where=self.error > 0)
        return share, self.seeds_degrees, self.videos_degrees


def estimate(numerator: Array, denominator: Array, link: Callable[[Array], Array]) -> Estimate:
    """Estimates `link` of the sum of `numerator` over the sum of `denominator`.

    Args:
        numerator: (seeds, videos, columns).
        denominator: of the same shape, not negative.
        link: the scale on which the estimate is made; works element by element.
    """
    sums, shares = [numerator.sum(axis=axis) for axis in (1, 0)], [denominator.sum(axis=axis) for axis in (1, 0)]
    single = numerator.reshape(-1, 1, numerator.shape[-1]), denominator.reshape(-1, 1, denominator.shape[-1])
    return Estimate(
        link(quotient(sums[0].sum(axis=0), shares[0].sum(axis=0))),
        variance(sums[0][:, None], shares[0][:, None], link)[0],
        variance(sums[1][:, None], shares[1][:, None], link)[0],
        variance(*single, link)[0],
        _degrees(shares[0]),
        _degrees(shares[1]),
    )


def variance(numerators: Array, denominators: Array, link: Callable[[Array], Array]) -> Array:
    """Jackknife variance of `link` of a ratio of sums, from (units, sets, columns) to (sets, columns).

    0 for a single unit. `denominators` may have one set for all.
    """
    units = len(numerators)
    if units == 1:
        return np.zeros(numerators.shape[1:])
    # The remainders of sums of the same numbers can fall below 0 by rounding.
    left = np.maximum(denominators.sum(axis=0) - denominators, 0)
    values = link(quotient(numerators.sum(axis=0) - numerators, left))
    spread: Array = (units - 1) * values.var(axis=0)
    return spread


def quotient(numerator: Array, denominator: Array) -> Array:
    """`numerator` / `denominator`, 0 where the latter is 0."""
    denominator = np.broadcast_to(denominator, numerator.shape)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def cells(values: Array, videos: Sequence[str]) -> Array:
    """Sums over the clips of each video: (seeds, clips, columns) to (seeds, videos, columns)."""
    number = {name: position for position, name in enumerate(sorted(set(videos)))}
    sums = np.zeros((len(number), len(values), values.shape[2]))
    np.add.at(sums, [number[name] for name in videos], values.transpose(1, 0, 2))
    return sums.transpose(1, 0, 2)


def _degrees(denominators: Array) -> Array:
    """Degrees of freedom of the jackknife variance, (units, columns) to (columns,), from 1 to units - 1.

    Bell & McCaffrey (2002): the variance is a quadratic form z' M z in the units' own values z, which are taken to be
    alike and normal. A chi-squared distribution of the same mean and variance has (tr M)² / tr(M²) degrees of freedom.
    Here M = P' D P, where P subtracts the mean that is weighted with the units' shares, and D holds the weight of each
    unit in the jackknife.
    """
    share = np.sort(quotient(denominators, denominators.sum(axis=0)), axis=0)
    # The largest share is treated apart: in the sums over pairs below it would give differences of huge numbers. It is
    # kept below 1, since a unit with a share of 1 leaves nothing when it is left out.
    others, largest = share[:-1], np.minimum(share[-1], 1 - 1e-9)
    weight, most = (others / (1 - others)) ** 2, (largest / (1 - largest)) ** 2
    rest = (others**2).sum(axis=0)
    squares = rest + largest**2
    # P P' has 1 + squares - 2 share in its diagonal and squares - share - share' elsewhere.
    diagonal = weight * (1 + squares - 2 * others)
    top = most * ((1 - largest) ** 2 + rest)
    with_top = most * (weight * (rest - largest * (1 - largest) - others) ** 2).sum(axis=0)
    sums = [(weight * others**power).sum(axis=0) for power in range(3)]
    pairs = squares**2 * sums[0] ** 2 + 2 * sums[2] * sums[0] + 2 * sums[1] ** 2 - 4 * squares * sums[1] * sums[0]
    pairs -= (weight**2 * (squares - 2 * others) ** 2).sum(axis=0)
    trace = top + diagonal.sum(axis=0)
    degrees = np.ones_like(trace)
    np.divide(trace**2, top**2 + (diagonal**2).sum(axis=0) + 2 * with_top + pairs, out=degrees, where=trace > 0)
    return np.asarray(np.clip(degrees, 1.0, max(len(share) - 1, 1)))
