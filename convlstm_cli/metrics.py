"""How good a forecast is, by lead time: MSE, MAE, PSNR and SSIM.

Scores are sums and counts until they are read, so that any division into batches gives the same numbers.

    MSE, MAE    mean over all clips, channels and pixels; values in [0, 1]
    PSNR        10 log10(1 / MSE), in dB, of that mean MSE
    SSIM        Wang et al. 2004 as torchmetrics computes it: Gaussian window 11x11 with σ = 1.5,
                K1 = 0.01, K2 = 0.03, data range 1; mean over frames
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


@dataclass
class Scores:
    """Running sums over clips, one entry per lead time (the first is one frame ahead)."""

    clips: int = 0
    squared: list[float] = field(default_factory=list)
    absolute: list[float] = field(default_factory=list)
    similarity: list[float] = field(default_factory=list)

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Counts a batch in; both are (B, T, C, H, W) in [0, 1], on any device, with the same T every time."""
        forecast, truth = forecast.float(), truth.float()
        error = forecast - truth
        similarity = structural_similarity_index_measure(
            forecast.flatten(0, 1), truth.flatten(0, 1), data_range=1.0, reduction="none"
        )
        assert isinstance(similarity, Tensor)
        new = (
            error.square().mean(dim=(2, 3, 4)),  # each (B, T)
            error.abs().mean(dim=(2, 3, 4)),
            similarity.view(truth.shape[:2]),
        )
        # float64 on the CPU, because MPS has none
        sums = [values.cpu().double().sum(dim=0).tolist() for values in new]
        if not self.clips:
            self.squared, self.absolute, self.similarity = sums
        else:
            for total, values in zip((self.squared, self.absolute, self.similarity), sums, strict=True):
                total[:] = [a + b for a, b in zip(total, values, strict=True)]
        self.clips += truth.shape[0]

    def extend(self, later: "Scores") -> None:
        """Appends the scores of the same clips at the lead times that follow."""
        self.clips = later.clips
        self.squared += later.squared
        self.absolute += later.absolute
        self.similarity += later.similarity

    @property
    def mse(self) -> list[float]:
        """Mean squared error by lead time."""
        return [value / self.clips for value in self.squared]

    @property
    def mae(self) -> list[float]:
        """Mean absolute error by lead time."""
        return [value / self.clips for value in self.absolute]

    @property
    def psnr(self) -> list[float]:
        """Peak signal-to-noise ratio by lead time in dB; infinite where the forecast is exact."""
        return [psnr(value) for value in self.mse]

    @property
    def ssim(self) -> list[float]:
        """Structural similarity by lead time."""
        return [value / self.clips for value in self.similarity]

    @property
    def mean_mse(self) -> float:
        """Mean squared error over all lead times."""
        return mean(self.mse)

    def to_dict(self) -> dict[str, object]:
        """All scores by lead time and their means, as JSON holds them (an infinite PSNR is null)."""
        by_lead = {"mse": self.mse, "mae": self.mae, "psnr": self.psnr, "ssim": self.ssim}
        means = {
            "mse": self.mean_mse,
            "mae": mean(self.mae),
            "psnr": psnr(self.mean_mse),
            "ssim": mean(self.ssim),
        }
        return {
            "clips": self.clips,
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


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None


def score(forecast: Tensor, truth: Tensor) -> Scores:
    """Scores of one batch (B, T, C, H, W)."""
    scores = Scores()
    with torch.no_grad():
        scores.add(forecast, truth)
    return scores
