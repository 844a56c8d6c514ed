"""How good a forecast is, by lead time.

Scores are kept for every clip, as a few numbers for each lead time, and pooled when they are read: any division
into batches gives the same, and clips can be drawn again for a bootstrap. `DEFINITIONS` says what each metric is.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

Rows = NDArray[np.float64]
"""(clips, lead times)."""

DEFINITIONS = {
    "mse": "squared error, mean over clips, channels and pixels; values in [0, 1]",
    "mse_sum": "squared error, sum over the channels and pixels of a frame, mean over clips; values in [0, 1]",
    "mae": "absolute error, mean over clips, channels and pixels; values in [0, 1]",
    "mae_sum": "absolute error, sum over the channels and pixels of a frame, mean over clips; values in [0, 1]",
    "psnr": "10 log10(1 / MSE) in dB, of the MSE pooled over clips; null where the forecast is exact",
    "ssim": "Wang et al. 2004 as torchmetrics computes it: Gaussian window 11x11 with σ = 1.5, K1 = 0.01, K2 = 0.03, "
    "data range 1; mean over frames",
    "sharpness": "mean length of the gradient (differences of neighbouring pixels) of the forecast over that of the "
    "truth: 1 is as sharp, below 1 is blur (noise counts as sharp); null where the truth is flat",
    "csi": "critical success index, hits / (hits + misses + false alarms), of values at or above the threshold; "
    "counts pooled over clips, null where undefined",
    "pod": "probability of detection, hits / (hits + misses), pooled likewise",
    "far": "false alarm ratio, false alarms / (hits + false alarms), pooled likewise",
    "mean": "all lead times pooled as clips are",
}

_COLUMNS = ("mse", "mae", "ssim", "gradient", "true_gradient")
_EVENTS = ("hits", "misses", "false_alarms")


class Scores:
    """Scores of clips, one entry per lead time (the first is one frame ahead).

    `thresholds`, in [0, 1], are those of CSI, POD and FAR.
    """

    def __init__(self, thresholds: Sequence[float] = ()) -> None:
        self.thresholds = tuple(thresholds)
        self.frame_values = 0
        """Values of a frame: channels x height x width."""
        self._batches: list[dict[str, Rows]] = []

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Counts a batch in; both are (B, T, C, H, W) in [0, 1], on any device, with the same T every time."""
        self.frame_values = truth[0, 0].numel()
        self._batches.append(_measure(forecast.float(), truth.float(), self.thresholds))

    def extend(self, later: "Scores") -> None:
        """Appends the scores of the same clips at the lead times that follow."""
        self.frame_values = later.frame_values
        mine, others = self._table(), later._table()
        self._batches = [
            {name: np.concatenate((mine[name], rows), axis=1) if mine else rows for name, rows in others.items()}
        ]

    @classmethod
    def pool(cls, parts: Sequence["Scores"]) -> "Scores":
        """All clips of several scores of the same lead times as one."""
        pooled = cls(parts[0].thresholds)
        pooled.frame_values = parts[0].frame_values
        pooled._batches = [batch for part in parts for batch in part._batches]
        return pooled

    @classmethod
    def in_turn(cls, parts: Sequence["Scores"]) -> "Scores":
        """Scores of clips that were dealt out in turn, in their order again: the first clip of each part, and so on."""
        filled = [part for part in parts if part.clips]
        dealt = cls.pool(filled)
        [table] = dealt._batches = [{name: rows.copy() for name, rows in dealt._table().items()}]
        for name, rows in table.items():
            for position, part in enumerate(filled):
                rows[position :: len(parts)] = part.per_clip(name)
        return dealt

    @property
    def clips(self) -> int:
        """Number of clips."""
        return sum(len(batch["mse"]) for batch in self._batches)

    @property
    def lead_times(self) -> int:
        """Number of lead times, 0 before the first batch."""
        return self._table()["mse"].shape[1] if self._batches else 0

    def per_clip(self, name: str) -> Rows:
        """`mse`, `mae`, `ssim`, `gradient` or `true_gradient` of each clip at each lead time."""
        return self._table()[name]

    def counts(self, threshold: float) -> dict[str, Rows]:
        """Hits, misses and false alarms of each clip at each lead time, in values of a frame."""
        position = self.thresholds.index(threshold)
        return {name: self._table()[f"{name}_{position}"] for name in _EVENTS}

    @property
    def mse(self) -> list[float]:
        """Mean squared error by lead time."""
        return self._by_lead("mse")

    @property
    def mae(self) -> list[float]:
        """Mean absolute error by lead time."""
        return self._by_lead("mae")

    @property
    def psnr(self) -> list[float]:
        """Peak signal-to-noise ratio by lead time in dB; infinite where the forecast is exact."""
        return [psnr(value) for value in self.mse]

    @property
    def ssim(self) -> list[float]:
        """Structural similarity by lead time."""
        return self._by_lead("ssim")

    @property
    def sharpness(self) -> list[float]:
        """Gradients of the forecast over those of the truth by lead time; NaN where the truth has none."""
        return _ratios(self.per_clip("gradient").sum(axis=0), self.per_clip("true_gradient").sum(axis=0))

    @property
    def mean_mse(self) -> float:
        """Mean squared error over all lead times."""
        return mean(self.mse)

    def to_dict(self) -> dict[str, object]:
        """All scores by lead time and their means, as JSON holds them (null where there is no number)."""
        by_lead = {
            "mse": self.mse,
            "mse_sum": [value * self.frame_values for value in self.mse],
            "mae": self.mae,
            "mae_sum": [value * self.frame_values for value in self.mae],
            "psnr": self.psnr,
            "ssim": self.ssim,
            "sharpness": self.sharpness,
        }
        means = {name: mean(values) for name, values in by_lead.items()}
        means["psnr"] = psnr(self.mean_mse)
        gradients = (self.per_clip(name).sum(keepdims=True) for name in ("gradient", "true_gradient"))
        [means["sharpness"]] = _ratios(*gradients)
        content: dict[str, object] = {"clips": self.clips, **_as_json(by_lead, means)}
        if self.thresholds:
            content["events"] = [self._events(threshold) for threshold in self.thresholds]
        return content

    def _events(self, threshold: float) -> dict[str, object]:
        counts = self.counts(threshold)
        by_lead = _event_scores(**{name: rows.sum(axis=0) for name, rows in counts.items()})
        pooled = _event_scores(**{name: rows.sum(keepdims=True).ravel() for name, rows in counts.items()})
        return {"threshold": threshold, **_as_json(by_lead, {name: value for name, [value] in pooled.items()})}

    def _by_lead(self, name: str) -> list[float]:
        means: list[float] = self.per_clip(name).mean(axis=0).tolist()
        return means

    def _table(self) -> dict[str, Rows]:
        """All batches as one; empty before the first."""
        if len(self._batches) > 1:
            names = self._batches[0]
            self._batches = [{name: np.concatenate([batch[name] for batch in self._batches]) for name in names}]
        return self._batches[0] if self._batches else {}


class Spread:
    """How far the members of an ensemble lie apart, by lead time."""

    def __init__(self, members: int) -> None:
        self.members = members
        self._clips = 0
        self._variance: Rows = np.zeros(0)

    def add(self, forecasts: Tensor) -> None:
        """Counts a batch in: (M, B, T, C, H, W)."""
        variance = forecasts.float().var(dim=0, correction=1).mean(dim=(2, 3, 4)).cpu().double().sum(dim=0).numpy()
        self._variance = self._variance + variance if self._clips else variance
        self._clips += forecasts.shape[1]

    def ratios(self, mse: Sequence[float]) -> list[float]:
        """The spread-skill ratio by lead time, given the MSE of the ensemble's mean."""
        variance = (self._variance / self._clips).tolist()
        return [spread_skill(one, error, self.members) for one, error in zip(variance, mse, strict=True)]


def _measure(forecast: Tensor, truth: Tensor, thresholds: tuple[float, ...]) -> dict[str, Rows]:
    """What is kept of a batch, each (B, T)."""
    error = forecast - truth
    similarity = structural_similarity_index_measure(
        forecast.flatten(0, 1), truth.flatten(0, 1), data_range=1.0, reduction="none"
    )
    assert isinstance(similarity, Tensor)
    kept = {
        "mse": error.square().mean(dim=(2, 3, 4)),
        "mae": error.abs().mean(dim=(2, 3, 4)),
        "ssim": similarity.view(truth.shape[:2]),
        "gradient": _gradient(forecast),
        "true_gradient": _gradient(truth),
    }
    assert tuple(kept) == _COLUMNS
    for position, threshold in enumerate(thresholds):
        expected, happened = forecast >= threshold, truth >= threshold
        events = (expected & happened, ~expected & happened, expected & ~happened)
        for name, event in zip(_EVENTS, events, strict=True):
            kept[f"{name}_{position}"] = event.sum(dim=(2, 3, 4))
    # float64 on the CPU, because MPS has none. Copied, since what torch allocates, kept for long between large tensors
    # that come and go, leaves holes in the memory that nothing fits into: 36 KB a clip.
    return {name: values.cpu().double().numpy().copy() for name, values in kept.items()}


def _gradient(frames: Tensor) -> Tensor:
    """Mean length of the gradient of each frame: (B, T, C, H, W) to (B, T)."""
    right = frames[..., :-1, 1:] - frames[..., :-1, :-1]
    down = frames[..., 1:, :-1] - frames[..., :-1, :-1]
    return (right.square() + down.square()).sqrt().mean(dim=(2, 3, 4))


def _event_scores(hits: Rows, misses: Rows, false_alarms: Rows) -> dict[str, list[float]]:
    return {
        "csi": _ratios(hits, hits + misses + false_alarms),
        "pod": _ratios(hits, hits + misses),
        "far": _ratios(false_alarms, hits + false_alarms),
    }


def _ratios(above: Rows, below: Rows) -> list[float]:
    """Quotients, NaN where there is nothing to divide by."""
    return [a / b if b > 0 else math.nan for a, b in zip(above.ravel(), below.ravel(), strict=True)]


def _as_json(by_lead: dict[str, list[float]], means: dict[str, float]) -> dict[str, object]:
    return {
        "by_lead_time": {name: [finite(value) for value in values] for name, values in by_lead.items()},
        "mean": {name: finite(value) for name, value in means.items()},
    }


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values in [0, 1]."""
    return -10.0 * math.log10(mse) if mse > 0 else math.inf


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


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return float(value) if math.isfinite(value) else None


def score(forecast: Tensor, truth: Tensor) -> Scores:
    """Scores of one batch (B, T, C, H, W)."""
    scores = Scores()
    with torch.no_grad():
        scores.add(forecast, truth)
    return scores
