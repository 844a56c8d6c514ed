"""From the patches of frames to scores, and from the scores of normal frames to p-values and the threshold.

A p-value is conformal: (1 + normal scores that are at least as high) / (normal scores + 1), which is at most p with
probability p for a frame that is exchangeable with the normal ones (Vovk, Gammerman and Shafer 2005; for anomalies
Laxhammar and Falkman 2011). Neighbouring frames are not exchangeable: their scores rise and fall together. So the
threshold counts alarms, each a run of frames (runs declustering, Coles 2001, section 5.3), and not frames. The tail is
not extrapolated: a few minutes of frames that depend on each other do not show the shape of a tail of hours.
"""

import bisect
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.watching.patches import Surprise

Scores = NDArray[np.float64]

FLOOR = 1.0
"""Share of the mean error over all patches that is added to the usual error of each: normal frames show only some of
the places where something may move."""
FOLDS = 6
"""Parts of the normal frames; the scores of each are by the usual errors in the others."""
LEAST_ERROR = 1e-4
"""Added to the usual error of each patch: a fortieth of a level of 255, below which errors are rounding."""
HOUR = 3600.0


@dataclass(frozen=True)
class UsualErrors:
    """The usual errors of normal frames."""

    error: Tensor
    """Mean over the frames, (rows, columns), with the floor; NaN where a patch never has values."""

    @classmethod
    def of(cls, errors: Tensor) -> "UsualErrors":
        """What is usual in frames (N, rows, columns)."""
        mean = errors.nanmean(dim=0)
        overall = mean.nanmean().nan_to_num(0.0)
        return cls(mean + FLOOR * overall + LEAST_ERROR)

    def ratios(self, found: Surprise) -> Tensor:
        """How surprising each patch is, (B, rows, columns): its error over the sum of usual error and spread."""
        return found.error / (self.error.where(~self.error.isnan(), self.error.nanmean()) + found.spread)

    def scores(self, found: Surprise) -> tuple[Tensor, Tensor]:
        """The score of each frame, its most surprising patch, and the position of that patch, row by row.

        NaN where no patch has values.
        """
        ratios = self.ratios(found).flatten(1)
        known = ratios.nan_to_num(-torch.inf)
        best, at = known.max(dim=1)
        return best.where(best > -torch.inf, torch.nan), at


@dataclass(frozen=True)
class Threshold:
    """The score above which a frame raises an alarm."""

    score: float
    per_hour: float
    """Alarms an hour that normal frames raise, at most."""
    asked_per_hour: float

    @property
    def is_as_asked(self) -> bool:
        """Whether the normal frames show so rare a score as was asked for."""
        return self.per_hour <= self.asked_per_hour


@dataclass(frozen=True)
class Reference:
    """What normal frames show."""

    usual: UsualErrors
    scores: Scores
    """Ascending."""
    threshold: Threshold

    def p_value(self, score: float) -> float:
        """The conformal p-value of a frame."""
        at_least = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return (1 + at_least) / (len(self.scores) + 1)


def cross_scores(found: Surprise) -> Scores:
    """The scores of normal frames in order, each by the usual errors of frames in other parts of the recording.

    By usual errors that they are part of themselves, they would be lower than those of other frames.
    """
    count = len(found.error)
    scores = np.empty(count)
    for part in np.array_split(np.arange(count), min(FOLDS, count)):
        others = torch.ones(count, dtype=torch.bool)
        others[part] = False
        usual = UsualErrors.of(found.error[others])
        scores[part] = usual.scores(Surprise(found.error[part], found.spread[part]))[0].double().numpy()
    return scores


def threshold_of(scores: Scores, frames: NDArray[np.int64], reach: int, seconds: float, per_hour: float) -> Threshold:
    """The lowest score above which normal frames raise at most `per_hour` alarms an hour, or the highest normal score.

    One alarm more is counted than they raise, for the one that the next frames may raise, as in the p-value.

    Args:
        scores: of normal frames, at least one.
        frames: their numbers, ascending; frames of different recordings are further apart than `reach`.
        reach: frames up to which two that are above the score raise one alarm.
        seconds: from one frame to the next.
        per_hour: alarms an hour that are allowed.
    """
    hours = len(scores) * seconds / HOUR
    order = np.argsort(-scores, kind="stable")
    chosen, rate = float(scores[order[0]]), 1 / hours
    above: list[int] = []  # numbers of the frames above the score, ascending
    alarms, last = 0, np.inf
    for score, frame in zip(scores[order].tolist(), frames[order].tolist(), strict=True):
        if score < last:
            if above and (alarms + 1) / hours > per_hour:
                break
            chosen, rate, last = score, (alarms + 1) / hours, score
        alarms += _added(above, frame, reach)
    return Threshold(chosen, rate, per_hour)


def _added(above: list[int], frame: int, reach: int) -> int:
    """Inserts a frame among others, ascending; returns the alarms that it adds: 1, or 0 or less where it joins some."""
    at = bisect.bisect_left(above, frame)
    joins_left = at > 0 and frame - above[at - 1] <= reach
    joins_right = at < len(above) and above[at] - frame <= reach
    joined = 0 < at < len(above) and above[at] - above[at - 1] <= reach
    above.insert(at, frame)
    return 1 + joined - joins_left - joins_right


def reference_of(found: Surprise, frames: NDArray[np.int64], reach: int, seconds: float, per_hour: float) -> Reference:
    """What normal frames show; arguments as for `threshold_of`. Frames without a score are left out."""
    scores = cross_scores(found)
    known = ~np.isnan(scores)
    scores, frames = scores[known], frames[known]
    threshold = threshold_of(scores, frames, reach, seconds, per_hour)
    return Reference(UsualErrors.of(found.error), np.sort(scores), threshold)
