"""The rank histogram: where the truth falls among the members, how far from evenly, and whether by chance.

The rank of a pixel is the number of members below its truth. Where members and truth are drawn from one distribution,
every rank from 0 to N is equally likely (Hamill 2001, Mon. Weather Rev. 129). High outer ranks mean that the members
agree more than they are right, high ranks at one end a bias.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.scoring.formulae import finite

LEVELS = 255
"""Steps of the network's range that ranks tell apart, those of an 8-bit picture: a truth of 0 and members just above it
are equal, since sources hold no such differences and a network forecasts no exact 0."""
FEWEST = 4
"""Videos that a test needs at least: with 3, one degree of freedom is left, which finds nothing."""


@dataclass(frozen=True)
class RankTest:
    """Whether ranks may be even, by how they differ between videos.

    Pixels and lead times of a clip depend on each other, and so do clips of a video, so that a chi-square test of all
    counts would refuse every forecast. The test takes each video as one observation. Of a video it takes two components
    of the histogram's chi-square (Jolliffe & Primo 2008, Mon. Weather Rev. 136): the tilt, which is linear in the
    rank, and the bow, which is quadratic. Both have expectation 0 where ranks are even, whatever depends on what
    within a video. Hotelling's T² tests whether their means over the videos differ from 0:

        T² = V m' S⁻¹ m,   p = (1 + T² / (V - 1))^(-(V - 2) / 2)

    with m the mean and S the unbiased covariance over V videos; the second is the F distribution with 2 and V - 2
    degrees of freedom in closed form. Shapes without tilt and bow, such as a single high rank in the middle, are not
    found.
    """

    p: float
    """Probability of a larger T² where ranks are even."""
    videos: int
    tilt: float
    """Mean over all ranks, in standard deviations of an even rank: above 0 the truth is higher than the members."""
    bow: float
    """Likewise; above 0 the truth is outside the members too often, below 0 too seldom."""

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {"p": finite(self.p), "videos": self.videos, "tilt": finite(self.tilt), "bow": finite(self.bow)}


class RankHistogram:
    """Collects ranks. Kept are the counts by lead time, and three numbers of every clip for the test."""

    def __init__(self, members: int, seed: int) -> None:
        """For N members, at least 2; `seed` is that of the draws for equal values."""
        self.members, self._seed = members, seed
        self.counts: NDArray[np.int64] = np.zeros((1, members + 1), np.int64)
        """(lead times, N + 1)."""
        self._clips: list[NDArray[np.float64]] = []  # (B, 3): number of ranks, sum of their tilts and of their bows

    def add(self, members: Tensor, truth: Tensor, valid: Tensor | None = None) -> None:
        """Adds a batch: members (N, B, T, C, H, W), truth and `valid`, bool, (B, T, C, H, W), in the network's [0, 1].

        Values are rounded to `LEVELS`. Where the truth equals some members, its rank is drawn among theirs, with the
        same draws whatever the batches are. A pixel at which the truth equals all members has no rank: it says nothing,
        and still or dry places would hide the shape of the others. Members and truth that are drawn alike keep even
        ranks under both, since neither tells them apart.
        """
        counts, first = [], sum(map(len, self._clips))
        for clip in range(len(truth)):
            known = None if valid is None else valid[clip]
            counts.append(self._clip(members[:, clip], truth[clip], known, self._seed + first + clip))
        found = np.stack(counts)  # (B, T, N + 1)
        self.counts = self.counts + found.sum(axis=0)
        by_clip = found.sum(axis=1)
        self._clips.append(by_clip @ np.stack((np.ones(self.members + 1), *components(self.members)), axis=1))

    def _clip(self, members: Tensor, truth: Tensor, valid: Tensor | None, seed: int) -> NDArray[np.int64]:
        """Counts of one clip, (T, N + 1), of members (N, T, C, H, W)."""
        generator = torch.Generator().manual_seed(seed)
        # On the CPU: other devices draw other numbers.
        drawn = torch.rand(truth.shape, generator=generator).to(truth.device)
        known = (truth * LEVELS).round()
        below, equal = torch.zeros_like(known), torch.zeros_like(known)
        for member in members:
            level = (member * LEVELS).round()
            below += level < known
            equal += level == known
        rank = (below + (drawn * (equal + 1)).floor()).long().clamp(max=self.members)
        counted = equal < self.members
        if valid is not None:
            counted &= valid
        places = torch.arange(len(truth), device=rank.device).view(-1, 1, 1, 1) * (self.members + 1) + rank
        counts = torch.bincount(places[counted], minlength=len(truth) * (self.members + 1))
        return counts.view(len(truth), self.members + 1).cpu().numpy()

    @property
    def frequencies(self) -> list[float]:
        """Share of each rank from 0 to N, over all lead times; NaN where nothing has a rank."""
        return _shares(self.counts.sum(axis=0))

    @property
    def reliability_index(self) -> float:
        """Over all lead times; see `unevenness`."""
        return unevenness(self.frequencies)

    @property
    def reliability_index_by_lead_time(self) -> list[float]:
        """See `unevenness`; NaN at a lead time at which nothing has a rank."""
        return [unevenness(_shares(row)) for row in self.counts]

    def test(self, videos: Sequence[str]) -> RankTest | None:
        """The test, given the name of each clip's video; None for fewer than `FEWEST` videos, or equal ones."""
        numbers = np.unique(np.asarray(videos), return_inverse=True)[1]
        sums = np.zeros((int(numbers.max()) + 1, 3))
        np.add.at(sums, numbers, np.concatenate(self._clips))
        sums = sums[sums[:, 0] > 0]
        count = len(sums)
        if count < FEWEST:
            return None
        observed = sums[:, 1:] / sums[:, 0].mean()  # so that their mean is that of all ranks
        mean, covariance = observed.mean(axis=0), np.cov(observed.T)
        if np.linalg.matrix_rank(covariance) < 2:
            return None
        statistic = count * float(mean @ np.linalg.solve(covariance, mean))
        p = (1 + statistic / (count - 1)) ** (-(count - 2) / 2)
        return RankTest(p, count, float(mean[0]), float(mean[1]))


def unevenness(frequencies: Sequence[float]) -> float:
    """The reliability index Σ_k |f_k - 1/(N + 1)| of the ranks' shares f (Delle Monache et al. 2006, J. Geophys. Res.).

    0 is even, and 2 N / (N + 1) the most: all truths have one rank.
    """
    return math.fsum(abs(share - 1 / len(frequencies)) for share in frequencies)


def components(members: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The tilt and the bow of each rank from 0 to N: mean 0, mean square 1, uncorrelated where ranks are even."""
    tilt = np.arange(members + 1) - members / 2
    bow = tilt**2 - np.square(tilt).mean()
    return tilt / np.sqrt(np.square(tilt).mean()), bow / np.sqrt(np.square(bow).mean())


def _shares(counts: NDArray[np.int64]) -> list[float]:
    total = int(counts.sum())
    return [int(count) / total if total else math.nan for count in counts]
