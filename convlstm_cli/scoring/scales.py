"""Scales on which an interval of a bounded metric is symmetric, so that its ends stay within the metric's bounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.scoring.metrics import Bounds

Array = NDArray[np.float64]

LARGEST_LOGARITHM = 30.0
"""Values on a logarithmic scale are cut here, so that an interval without use still ends in a number."""
MARGIN = 1e-12
"""Share of the range that a mean keeps from the bounds: sums of many values round beyond them."""


@dataclass(frozen=True)
class Scale:
    """A rising map of a metric's values to numbers without bounds, and back."""

    forward: Callable[[Array], Array]
    """Maps values within the bounds, of any shape, to the scale."""
    backward: Callable[[Array], Array]
    """Maps numbers of the scale, of any shape, to values within the bounds."""


def scale_within(bounds: Bounds, values: Array) -> Scale:
    """The scale for intervals of the mean of `values`, of any shape, which lie within `bounds`.

    The logit of the position between two bounds (of -1 and 1 it is twice Fisher's z), the logarithm of the distance
    from a lower bound alone, and otherwise the values themselves. Where a value stands at a bound, of which neither
    logarithm exists, it is the values themselves, and `backward` cuts an interval at the bounds: what is cut off
    cannot be true.
    """
    low, high = bounds
    if np.isinf(low) or not (values > low).all() or not (values < high).all():
        return Scale(np.asarray, lambda scaled: np.clip(scaled, low, high))
    if np.isinf(high):
        return _logarithmic(low)
    return _logit(low, high)


def _logarithmic(low: float) -> Scale:
    least = np.finfo(np.float64).tiny
    return Scale(
        lambda values: np.log(np.maximum(values - low, least)),
        lambda scaled: low + np.exp(np.minimum(scaled, LARGEST_LOGARITHM)),
    )


def _logit(low: float, high: float) -> Scale:
    def forward(values: Array) -> Array:
        share = np.clip((values - low) / (high - low), MARGIN, 1 - MARGIN)
        return np.asarray(np.log(share / (1 - share)))

    def backward(scaled: Array) -> Array:
        # Of exp(-|x|), which cannot overflow.
        small = np.exp(-abs(scaled))
        share = np.where(scaled > 0, 1.0, small) / (1 + small)
        return np.asarray(np.clip(low + (high - low) * share, low, high))

    return Scale(forward, backward)
