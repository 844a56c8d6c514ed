"""All scores of members by lead time: accuracy, spread, ranks, and probabilities of thresholds.

`MemberScores` keeps a few numbers of every clip and pools them when they are read, as `Scores` does for single
forecasts. `PooledMembers` is what is left of them in files, tables and charts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.scoring.formulae import finite, known_mean, spread_skill
from convlstm_cli.scoring.members.exceedance import Exceedance, PooledExceedance
from convlstm_cli.scoring.members.fair_crps import fair_crps
from convlstm_cli.scoring.members.fair_energy import fair_energy
from convlstm_cli.scoring.members.ranks import RankHistogram, RankTest
from convlstm_cli.scoring.pooling import VALID, Rows
from convlstm_cli.video.values import BYTES, ValueRange

PER_CLIP = {"crps": 1, "energy": 1, "mse": 2, "variance": 2}
"""What is known of every clip at every lead time, with the power of the values' unit: CRPS, energy score, squared error
of the members' mean, and unbiased variance of the members."""
POWERS = {VALID: 0, **PER_CLIP}
"""What is kept of every clip at every lead time, with the power of the values' unit: the share of pixels with a truth,
and means over these pixels (the energy score times the share)."""

MEMBER_DEFINITIONS = {
    "crps": "fair continuous ranked probability score (Ferro 2014) of the members, mean over clips, channels and "
    "pixels; of a single forecast its MAE",
    "energy": "fair energy score (Gneiting & Raftery 2007) with the root mean square over a frame as distance, mean "
    "over frames; of a single forecast the mean root mean squared error of a frame",
    "spread_skill": "sqrt((N + 1) / N x mean variance of N members / MSE of their mean) (Fortin et al. 2014): 1 is "
    "reliable, less is overconfident",
    "ranks": "shares of the pixels with 0 to N members below the truth (Hamill 2001), in steps of 1/255 of the range; "
    "a rank among equal members is drawn, and pixels at which all members equal the truth are left out. The "
    "reliability index is the sum of the distances from 1 / (N + 1) (Delle Monache et al. 2006). The test is "
    "Hotelling's, of tilt and bow (Jolliffe & Primo 2008) with each video as one observation",
    "brier": "(p - o)² of the share p of members at or above the threshold and of o, 1 where the truth is and else 0 "
    "(Brier 1950), mean over clips, channels and pixels; reliability - resolution + uncertainty (Murphy 1973)",
}
"""What the scores of members are, by their names in files."""


@dataclass(frozen=True)
class Ranks:
    """The rank histogram of members."""

    frequencies: list[float]
    """Share of each rank from 0 to N, over all lead times."""
    pixels: int
    """Pixels with a rank, of all clips and lead times."""
    reliability_index: float
    """Σ |frequency - 1/(N + 1)|, over all lead times."""
    reliability_index_by_lead_time: list[float]
    test: RankTest | None
    """None for too few videos."""

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {
            "frequencies": [finite(share) for share in self.frequencies],
            "pixels": self.pixels,
            "reliability_index": finite(self.reliability_index),
            "reliability_index_by_lead_time": [finite(index) for index in self.reliability_index_by_lead_time],
            "test": None if self.test is None else self.test.to_dict(),
        }


@dataclass(frozen=True)
class PooledMembers:
    """The scores of the members of one system, pooled over clips; the first lead time is one frame ahead.

    NaN or infinite where there is no number.
    """

    members: int
    crps: list[float]
    """Fair continuous ranked probability score; of a single forecast its mean absolute error."""
    energy: list[float]
    """Fair energy score of frames; of a single forecast its mean root mean squared error of frames."""
    mse: list[float]
    """Mean squared error of the members' mean."""
    mean_crps: float
    """Over all lead times, as the two that follow."""
    mean_energy: float
    mean_mse: float
    spread_skill: list[float] | None
    """None for a single forecast, as the two that follow."""
    mean_spread_skill: float | None
    ranks: Ranks | None
    exceedance: tuple[PooledExceedance, ...]
    """One for each threshold."""
    unit: str
    """Unit of CRPS and energy score; empty for values in [0, 1] and for those whose unit is not known."""

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it, null where there is no number."""
        spread = None if self.mean_spread_skill is None else finite(self.mean_spread_skill)
        return {
            "count": self.members,
            "unit": self.unit,
            "crps": listed(self.crps),
            "energy": listed(self.energy),
            "mse": listed(self.mse),
            "spread_skill": None if self.spread_skill is None else listed(self.spread_skill),
            "mean": {
                "crps": finite(self.mean_crps),
                "energy": finite(self.mean_energy),
                "mse": finite(self.mean_mse),
                "spread_skill": spread,
            },
            "ranks": None if self.ranks is None else self.ranks.to_dict(),
            "exceedance": [each.to_dict() for each in self.exceedance],
        }


class MemberScores:
    """Scores of members by lead time, in the unit of `values`; a single forecast is an ensemble of one member.

    Kept are five numbers of every clip and lead time, three of every clip, and counts.
    """

    def __init__(
        self, members: int, thresholds: Sequence[float] = (), values: ValueRange = BYTES, seed: int = 0
    ) -> None:
        """For N members; `thresholds` are in the unit of `values`, and `seed` is that of the ranks of equal values."""
        self.members, self.values = members, values
        self._batches: list[dict[str, Rows]] = []
        self._ranks = RankHistogram(members, seed) if members > 1 else None
        self._exceedance = [Exceedance(members, threshold, values) for threshold in thresholds]

    @torch.no_grad()
    def add(self, members: Tensor, truth: Tensor, valid: Tensor | None = None) -> None:
        """Adds a batch on any device, with the same N and T every time.

        Args:
            members: (N, B, T, C, H, W) in the network's [0, 1].
            truth: (B, T, C, H, W) likewise.
            valid: where there is a truth, bool like `truth`; None is everywhere.
        """
        members, truth = members.float(), truth.float()
        self._batches.append(measure(members, truth, valid, self.values))
        if self._ranks is not None:
            self._ranks.add(members, truth, valid)
        for each in self._exceedance:
            each.add(members, truth, valid)

    def per_clip(self, column: str) -> Rows:
        """A column of `PER_CLIP`, (clips, lead times): a mean over pixels with a truth; NaN where there is none."""
        rows, known = self._rows(column), self._rows(VALID)
        return np.asarray(np.divide(rows, known, out=np.full_like(rows, np.nan), where=known > 0))

    def by_lead_time(self, column: str) -> list[float]:
        """A column pooled over the pixels with a truth of all clips; NaN where there is none."""
        sums, known = self._rows(column).sum(axis=0), self._rows(VALID).sum(axis=0)
        return [float(above / below) if below > 0 else math.nan for above, below in zip(sums, known, strict=True)]

    def pooled(self, videos: Sequence[str]) -> PooledMembers:
        """All scores, given the name of each clip's video."""
        means = {column: self.by_lead_time(column) for column in POWERS}
        overall = {column: known_mean(values) for column, values in means.items()}
        single = self.members == 1
        return PooledMembers(
            self.members,
            means["crps"],
            means["energy"],
            means["mse"],
            overall["crps"],
            overall["energy"],
            overall["mse"],
            None if single else [self._ratio(*pair) for pair in zip(means["variance"], means["mse"], strict=True)],
            None if single else self._ratio(overall["variance"], overall["mse"]),
            self._pooled_ranks(videos),
            tuple(each.pooled() for each in self._exceedance),
            self.values.unit,
        )

    def _ratio(self, variance: float, mse: float) -> float:
        return spread_skill(variance, mse, self.members)

    def _pooled_ranks(self, videos: Sequence[str]) -> Ranks | None:
        ranks = self._ranks
        if ranks is None:
            return None
        return Ranks(
            ranks.frequencies,
            int(ranks.counts.sum()),
            ranks.reliability_index,
            ranks.reliability_index_by_lead_time,
            ranks.test(videos),
        )

    def _rows(self, column: str) -> Rows:
        """(clips, lead times)."""
        return np.concatenate([batch[column] for batch in self._batches])


def measure(members: Tensor, truth: Tensor, valid: Tensor | None, values: ValueRange) -> dict[str, Rows]:
    """The columns of `POWERS` of a batch, each (B, T), in the unit of `values`; arguments as for `MemberScores.add`."""
    leads = [
        _measure_lead(members[:, :, lead], truth[:, lead], None if valid is None else valid[:, lead], values)
        for lead in range(truth.shape[1])  # one after another, since sorting takes several times the memory
    ]
    scale = {column: values.scored_span**power for column, power in POWERS.items()}
    # float64 on the CPU, because MPS has none.
    return {
        column: torch.stack([lead[column] for lead in leads], dim=1).cpu().double().numpy() * scale[column]
        for column in POWERS
    }


def mean_of(members: Tensor, values: ValueRange) -> Tensor:
    """The mean of the members' values, (N, ...) to (...), in the network's [0, 1].

    Of a logarithmic range it is not the mean of the network's numbers, and it has the least expected squared error.
    """
    return values.share_of(values.linear(members).mean(dim=0))  # type: ignore[no-any-return]


def listed(values: Sequence[float]) -> list[float | None]:
    """Values as JSON holds them, None where there is no number."""
    return [finite(value) for value in values]


def _measure_lead(members: Tensor, truth: Tensor, valid: Tensor | None, values: ValueRange) -> Mapping[str, Tensor]:
    """The columns of one lead time in shares of the range, each (B,), from (N, B, C, H, W) and (B, C, H, W)."""
    members, truth = values.linear(members), values.linear(truth)
    share = truth.new_ones(len(truth)) if valid is None else valid.float().mean(dim=(1, 2, 3))
    variance = members.var(dim=0, correction=1) if len(members) > 1 else torch.zeros_like(truth)
    pixels = {
        "crps": fair_crps(members, truth),
        "mse": (members.mean(dim=0) - truth).square(),
        "variance": variance,
    }
    means = {name: (each if valid is None else each * valid).mean(dim=(1, 2, 3)) for name, each in pixels.items()}
    return {VALID: share, "energy": fair_energy(members, truth, valid) * share, **means}
