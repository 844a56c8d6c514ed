"""Training losses, in one registry. Imports torch inside functions only, so that `--help` can list them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlstm_cli.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    Measure = Callable[..., Tensor]

ROUNDING = 1e-6
"""Least distance of a forecast from 0 and 1 in the cross-entropy."""
QUIET = 5e-6
"""Added to the squared error of copying: below that, most of a difference is the rounding to 8 bits (1.3e-6)."""
EDGE = 4e-3
"""Difference, about one step of 8 bits, up to which Charbonnier's penalty is quadratic."""
SSIM_SIGMA, SSIM_LUMINANCE, SSIM_CONTRAST = 1.5, 0.01**2, 0.03**2
"""σ of the Gaussian window in pixels, and the constants of Wang et al. 2004 for values in [0, 1]."""
CHARBONNIER_SHARE, DISSIMILARITY_SHARE = 0.1, 0.05
"""Weights of the two in `sharp`, beside 1 for `root-relative`."""
HUBER_BETA = 0.1
"""Difference, a tenth of the value range, below which the Huber loss is quadratic."""


@dataclass(frozen=True)
class Loss:
    """A training loss."""

    name: str
    doc: str
    """What it measures, in a few words."""
    measure: "Measure"
    """Forecast and truth (B, T, C, H, W) and the last input frame (B, 1, C, H, W), in [0, 1], to a scalar tensor."""
    in_range: bool = False
    """Whether it exists for forecasts in [0, 1] only."""
    weighs: bool = False
    """Whether `measure` also takes the weight of each pixel, (B, T, C, H, W); `weighting.py` makes it of the truth."""


def _mse(forecast: "Tensor", truth: "Tensor", _last: "Tensor") -> "Tensor":
    from torch.nn import functional

    return functional.mse_loss(forecast, truth)


def _mae(forecast: "Tensor", truth: "Tensor", _last: "Tensor") -> "Tensor":
    from torch.nn import functional

    return functional.l1_loss(forecast, truth)


def _huber(forecast: "Tensor", truth: "Tensor", _last: "Tensor") -> "Tensor":
    from torch.nn import functional

    return functional.smooth_l1_loss(forecast, truth, beta=HUBER_BETA)


def _cross_entropy(forecast: "Tensor", truth: "Tensor", _last: "Tensor") -> "Tensor":
    # By hand: torch's raises where a forecast is NaN or, by rounding, beyond 1; NaN has to reach the caller.
    known = forecast.clamp(ROUNDING, 1.0 - ROUNDING)
    return -(truth * known.log() + (1.0 - truth) * (1.0 - known).log()).mean()


def _mae_and_mse(forecast: "Tensor", truth: "Tensor", last: "Tensor") -> "Tensor":
    return _mae(forecast, truth, last) + _mse(forecast, truth, last)


def relative(forecast: "Tensor", truth: "Tensor", last: "Tensor") -> "Tensor":
    """MSE by lead time over the mean MSE of copying, of each clip: quiet clips count as much as lively ones."""
    return (_squares(forecast, truth) / (_copying(truth, last) + QUIET)).mean()


def root_relative(forecast: "Tensor", truth: "Tensor", last: "Tensor") -> "Tensor":
    """MSE by lead time over the root of the mean MSE of copying, of each clip: half-way between MSE and `relative`."""
    return (_squares(forecast, truth) / (_copying(truth, last) + QUIET).sqrt()).mean()


def charbonnier(forecast: "Tensor", truth: "Tensor", last: "Tensor") -> "Tensor":
    """Charbonnier's penalty (1994), |difference| with a smooth foot, over the fourth root of copying's MSE."""
    penalty = ((forecast - truth).square() + EDGE**2).sqrt() - EDGE
    return (penalty.mean(dim=(2, 3, 4)) / (_copying(truth, last) + QUIET).sqrt().sqrt()).mean()


def dissimilarity(forecast: "Tensor", truth: "Tensor", _last: "Tensor") -> "Tensor":
    """1 - SSIM (Wang et al. 2004), with the frame's edges repeated outside it."""
    import torch

    from convlstm_cli.nn.motion import blur

    one, other = forecast.flatten(0, 1), truth.flatten(0, 1)
    maps = torch.cat((one, other, one * one, other * other, one * other), dim=1)
    mean_1, mean_2, square_1, square_2, product = blur(maps, SSIM_SIGMA).chunk(5, dim=1)
    variances = (square_1 - mean_1 * mean_1) + (square_2 - mean_2 * mean_2)
    covariance = product - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + SSIM_LUMINANCE) / (mean_1 * mean_1 + mean_2 * mean_2 + SSIM_LUMINANCE)
    return 1.0 - (luminance * (2 * covariance + SSIM_CONTRAST) / (variances + SSIM_CONTRAST)).mean()


def sharp(forecast: "Tensor", truth: "Tensor", last: "Tensor") -> "Tensor":
    """`root_relative` with a share of Charbonnier's penalty and of 1 - SSIM, against blur and haze."""
    return (
        root_relative(forecast, truth, last)
        + CHARBONNIER_SHARE * charbonnier(forecast, truth, last)
        + DISSIMILARITY_SHARE * dissimilarity(forecast, truth, last)
    )


def balanced_mse(forecast: "Tensor", truth: "Tensor", _last: "Tensor", weights: "Tensor | float" = 1.0) -> "Tensor":
    """B-MSE of Shi et al. 2017 (NeurIPS): the squared error, weighted by the true value of each pixel."""
    return (weights * (forecast - truth).square()).mean()


def balanced_mae(forecast: "Tensor", truth: "Tensor", _last: "Tensor", weights: "Tensor | float" = 1.0) -> "Tensor":
    """B-MAE of Shi et al. 2017: the absolute error, weighted likewise."""
    return (weights * (forecast - truth).abs()).mean()


def balanced(forecast: "Tensor", truth: "Tensor", last: "Tensor", weights: "Tensor | float" = 1.0) -> "Tensor":
    """B-MSE + B-MAE, which Shi et al. 2017 train with."""
    return balanced_mse(forecast, truth, last, weights) + balanced_mae(forecast, truth, last, weights)


def over_known(measure: "Measure", forecast: "Tensor", truth: "Tensor", last: "Tensor", there: "Tensor") -> "Tensor":
    """A loss over the pixels that have a truth: those without count for nothing, however many they are.

    Args:
        measure: that of a `Loss`, with its weights where it has any.
        forecast, truth: (B, T, C, H, W).
        last: the last input frame, (B, 1, C, H, W).
        there: where there is a truth, bool like it.
    """
    shares = there.float().mean(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1 / there.numel())
    known = truth * there
    # Measures take means over all pixels. Those over the error of copying would divide by a share of that error only.
    copied = known + (last - truth) * there / shares.sqrt()
    return measure(forecast * there, known, copied) / shares.mean()


def _squares(forecast: "Tensor", truth: "Tensor") -> "Tensor":
    """MSE of each clip at each lead time, (B, T)."""
    return (forecast - truth).square().mean(dim=(2, 3, 4))


def _copying(truth: "Tensor", last: "Tensor") -> "Tensor":
    """Mean MSE of copying the last frame, of each clip, (B, 1)."""
    return _squares(last, truth).mean(dim=1, keepdim=True)


LOSSES: Registry[Loss] = Registry(
    "loss",
    (
        Loss("bce", "the cross-entropy of the ConvLSTM paper", _cross_entropy, in_range=True),
        Loss("mse", "the squared error", _mse),
        Loss("mae", "the absolute error", _mae),
        Loss("mae+mse", "the sum of the two", _mae_and_mse),
        Loss("huber", "the squared error below a tenth of the value range, the absolute above", _huber),
        Loss("relative", "the squared error over that of copying the last frame, of each clip", relative),
        Loss("root-relative", "the squared error over the root of that of copying, of each clip", root_relative),
        Loss("balanced-mse", "the squared error, weighted by --loss-weights", balanced_mse, weighs=True),
        Loss("balanced-mae", "the absolute error, weighted likewise", balanced_mae, weighs=True),
        Loss("balanced-mae+mse", "the sum of the two, for rain", balanced, weighs=True),
        Loss("sharp", "root-relative with a share of the absolute error and of 1 - SSIM", sharp),
    ),
)
