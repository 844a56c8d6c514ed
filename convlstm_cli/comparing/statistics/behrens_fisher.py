"""The distribution of a mean over its standard error where that has two parts with few degrees of freedom each.

A mean over seeds and videos has the variance a + b, a from the seeds and b from the videos. Each part is estimated with
degrees of freedom of its own, so that no t distribution fits. The Behrens-Fisher distribution does (Fisher 1935): it is
that of √share t₁ + √(1 - share) t₂, where share = a / (a + b) and t₁, t₂ are Student's t of the two degrees of freedom.
Tests and intervals from it kept their level in every case that was computed (Robinson 1976), unlike those of Welch and
Satterthwaite, which overclaim where one part has 1 or 2 degrees of freedom, as 2 or 3 seeds have.

scipy.stats has Student's t, and no Behrens-Fisher distribution.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_DEGREES = 200.0
"""Degrees of freedom above this are treated as this many: the distribution hardly changes any more."""
NEGLIGIBLE = 1e-12
FARTHEST = 1e9


def _nodes(count: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


OUTER, OUTER_WEIGHTS = _nodes(64)
INNER, INNER_WEIGHTS = _nodes(24)
LOG_GAMMA = np.vectorize(math.lgamma, otypes=[np.float64])


def two_sided(statistic: Array, share: Array, first: Array, second: Array) -> Array:
    """The probability of a value at least as far from 0 as `statistic`, within about 1e-6.

    Args:
        statistic: mean over standard error, 0 to infinite. All arrays are (n,).
        share: share of the first part in the variance, in [0, 1]. At 1 the distribution is Student's t of `first`
            degrees of freedom, at 0 that of `second`.
        first, second: degrees of freedom of the two parts, at least 1.
    """
    return _tail(np.minimum(statistic, FARTHEST), share, first, second)[0]


def critical(level: float, share: Array, first: Array, second: Array) -> Array:
    """The statistic whose `two_sided` probability is `level` (0.001 to 0.5).

    Newton's method on the logarithm of the probability, as a function of the inverse hyperbolic sine of the statistic.
    That function is concave, so that after the first step every step approaches the root from beyond it.
    """
    place = np.full_like(share, np.arcsinh(NormalDist().inv_cdf(1 - level / 2)))
    for _ in range(8):
        statistic = np.sinh(place)
        probability, density = _tail(statistic, share, first, second)
        slope = density * np.cosh(place) / probability
        place = place + np.log(probability / level) / slope
    return np.sinh(place)


def _tail(statistic: Array, share: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Two-sided probability and density, of a mixture of t distributions with first + second degrees (Ruben 1960)."""
    first, second = np.minimum(first, MOST_DEGREES)[:, None], np.minimum(second, MOST_DEGREES)[:, None]
    angle = OUTER * (np.pi / 2)
    sine, cosine = np.sin(angle), np.cos(angle)
    weights = OUTER_WEIGHTS * sine ** (first - 1) * cosine ** (second - 1)
    weights /= weights.sum(axis=1, keepdims=True)
    spread = np.sqrt(share[:, None] * first / sine**2 + (1 - share[:, None]) * second / cosine**2)
    tails, densities = _student(statistic[:, None] / spread, first + second)
    return (weights * tails).sum(axis=1), (weights * densities / spread).sum(axis=1)


def _student(scaled: Array, degrees: Array) -> tuple[Array, Array]:
    """Two-sided tail of t / √degrees and its density, of the shape of `scaled`, against which `degrees` broadcasts."""
    # With t = √degrees tan θ the density is cos^(degrees - 1) θ, which is negligible beyond the angle `most`.
    most = np.arccos(NEGLIGIBLE ** (1 / degrees))
    end = np.minimum(np.arctan(scaled), most)
    # As exponentials, since numpy's power takes several times as long.
    powers = np.exp((degrees[..., None] - 1) * np.log(np.cos(end[..., None] * INNER)))
    whole = np.sqrt(np.pi) / 2 * np.exp(LOG_GAMMA(degrees / 2) - LOG_GAMMA((degrees + 1) / 2))
    inner = powers @ INNER_WEIGHTS * end
    return np.clip(1 - inner / whole, 0.0, 1.0), (1 + scaled**2) ** (-(degrees + 1) / 2) / whole
