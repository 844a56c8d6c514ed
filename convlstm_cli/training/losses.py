"""Training losses, in one registry. Imports torch inside functions only, so that `--help` can list them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlstm_cli.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    Measure = Callable[[Tensor, Tensor, Tensor], Tensor]

ROUNDING = 1e-6
"""Least distance of a forecast from 0 and 1 in the cross-entropy."""
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


LOSSES: Registry[Loss] = Registry(
    "loss",
    (
        Loss("bce", "the cross-entropy of the ConvLSTM paper", _cross_entropy, in_range=True),
        Loss("mse", "the squared error", _mse),
        Loss("mae", "the absolute error", _mae),
        Loss("mae+mse", "the sum of the two", _mae_and_mse),
        Loss("huber", "the squared error below a tenth of the value range, the absolute above", _huber),
    ),
)
