"""Probabilities of reaching a threshold, as shares of the members, against how often it is reached.

The Brier score (Brier 1950), its decomposition (Murphy 1973) and the reliability diagram.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.scoring.formulae import finite
from convlstm_cli.video.values import ValueRange

MOST_BINS = 21
"""Points of a reliability diagram: more probabilities than these are joined in equal shares of [0, 1]."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The forecasts of about one probability."""

    probability: float
    """Their mean, in [0, 1]."""
    frequency: float
    """Share of them at which the threshold was reached."""
    count: int
    """Number of pixels, of all clips and lead times."""


@dataclass(frozen=True)
class PooledExceedance:
    """How good the probabilities of reaching one threshold are."""

    threshold: float
    brier: list[float]
    """By lead time; NaN where there is no truth."""
    mean: float
    """The Brier score of all lead times together."""
    reliability: float
    """Part of `mean` by probabilities that are not the frequencies, 0 at best."""
    resolution: float
    """Part of `mean` that is gained by telling events from others, subtracted."""
    uncertainty: float
    """The Brier score of always forecasting the frequency of all: mean = reliability - resolution + uncertainty."""
    bins: tuple[ReliabilityBin, ...]
    """The reliability diagram, by rising probability, of probabilities that occur."""

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {
            "threshold": self.threshold,
            "brier": [finite(score) for score in self.brier],
            "mean": finite(self.mean),
            "reliability": finite(self.reliability),
            "resolution": finite(self.resolution),
            "uncertainty": finite(self.uncertainty),
            "diagram": [vars(each) for each in self.bins],
        }


class Exceedance:
    """Counts, by lead time, how many forecasts of each probability k/N there were and how many reached the threshold.

    All scores follow from these counts, so memory does not grow with the clips.
    """

    def __init__(self, members: int, threshold: float, values: ValueRange) -> None:
        """For N members; `threshold` is in the unit of `values`, and values at or above it reach it."""
        self.members, self.threshold = members, threshold
        self._least = values.least_share(threshold)
        self.forecasts: NDArray[np.int64] = np.zeros((1, members + 1), np.int64)
        """(lead times, N + 1): pixels at which k members reach the threshold."""
        self.events: NDArray[np.int64] = np.zeros((1, members + 1), np.int64)
        """Those of them at which the truth does."""

    def add(self, members: Tensor, truth: Tensor, valid: Tensor | None = None) -> None:
        """Adds a batch, in the network's [0, 1]: members (N, B, T, C, H, W), truth and `valid` (B, T, C, H, W)."""
        reaching = torch.zeros(truth.shape, dtype=torch.long, device=truth.device)
        for member in members:
            reaching += member >= self._least
        happened = truth >= self._least
        lead = torch.arange(truth.shape[1], device=truth.device).view(1, -1, 1, 1, 1)
        places = lead * (self.members + 1) + reaching
        if valid is not None:
            happened = happened & valid
        self.forecasts = self.forecasts + self._counted(places if valid is None else places[valid], truth.shape[1])
        self.events = self.events + self._counted(places[happened], truth.shape[1])

    def _counted(self, places: Tensor, leads: int) -> NDArray[np.int64]:
        counts = torch.bincount(places.flatten(), minlength=leads * (self.members + 1))
        return np.asarray(counts.view(leads, -1).cpu().numpy(), np.int64)

    def pooled(self) -> PooledExceedance:
        """The scores of all that was added."""
        forecasts, events = self.forecasts.sum(axis=0), self.events.sum(axis=0)
        total, rate = forecasts.sum(), _over(events.sum(), forecasts.sum())
        probability = np.arange(self.members + 1) / self.members
        known = forecasts > 0
        frequency = events[known] / forecasts[known]
        weights = forecasts[known] / max(1, total)
        return PooledExceedance(
            self.threshold,
            [brier(*row) for row in zip(self.forecasts, self.events, strict=True)],
            brier(forecasts, events),
            float((weights * np.square(probability[known] - frequency)).sum()) if total else math.nan,
            float((weights * np.square(frequency - rate)).sum()) if total else math.nan,
            rate * (1 - rate),
            _diagram(probability, forecasts, events),
        )


def brier(forecasts: NDArray[np.int64], events: NDArray[np.int64]) -> float:
    """The Brier score, the mean of (p - o)², o being 1 where the threshold was reached and else 0; NaN of no forecast.

    Args:
        forecasts: number of forecasts of each probability p = k/N, (N + 1,).
        events: those of them with o = 1.
    """
    probability = np.linspace(0.0, 1.0, len(forecasts))
    squares = (forecasts - events) * probability**2 + events * (1 - probability) ** 2
    return _over(squares.sum(), forecasts.sum())


def _diagram(
    probability: NDArray[np.float64], forecasts: NDArray[np.int64], events: NDArray[np.int64]
) -> tuple[ReliabilityBin, ...]:
    count = min(len(probability), MOST_BINS)
    numbers = np.minimum((probability * count).astype(int), count - 1)
    bins = []
    for number in range(count):
        of_bin = numbers == number
        if inside := int(forecasts[of_bin].sum()):
            mean = float((probability * forecasts)[of_bin].sum()) / inside
            bins.append(ReliabilityBin(mean, int(events[of_bin].sum()) / inside, inside))
    return tuple(bins)


def _over(above: float, below: float) -> float:
    return float(above) / float(below) if below else math.nan
