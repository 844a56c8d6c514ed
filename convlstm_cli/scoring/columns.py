"""The numbers that are kept of every clip at every lead time, and how each is measured."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Column:
    """A number that is kept of every clip at every lead time. Metrics may share one."""

    name: str
    measure: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    """Maps forecast and truth, both (B, T, C, H, W) float32 in [0, 1], to (B, T). A column of an event metric gets
    booleans instead: which values reach the threshold. Where the third, bool, is False there is no truth, and both are
    0; what is a mean over the pixels of a frame counts these as 0. None is True everywhere."""
    power: int = 0
    """Power of the values' unit in which it is kept."""


def _squared_error(forecast: Tensor, truth: Tensor, _valid: Tensor | None) -> Tensor:
    return (forecast - truth).square().mean(dim=(2, 3, 4))


def _absolute_error(forecast: Tensor, truth: Tensor, _valid: Tensor | None) -> Tensor:
    return (forecast - truth).abs().mean(dim=(2, 3, 4))


def _error(forecast: Tensor, truth: Tensor, _valid: Tensor | None) -> Tensor:
    return (forecast - truth).mean(dim=(2, 3, 4))


def _structural_similarity(forecast: Tensor, truth: Tensor, valid: Tensor | None) -> Tensor:
    # It imports matplotlib, which takes longer than most forecasts, and a forecast without truth needs neither.
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(
        forecast.flatten(0, 1),
        truth.flatten(0, 1),
        data_range=1.0,
        reduction="none",
        return_full_image=valid is not None,
    )
    if valid is None:
        assert isinstance(found, Tensor)
        return found.view(truth.shape[:2])
    return (found[1].view(truth.shape) * valid).mean(dim=(2, 3, 4))


def _gradient(frames: Tensor, valid: Tensor | None) -> Tensor:
    """Mean length of the gradient of each frame, (B, T, C, H, W) to (B, T); 0 next to a pixel without truth."""
    right = frames[..., :-1, 1:] - frames[..., :-1, :-1]
    down = frames[..., 1:, :-1] - frames[..., :-1, :-1]
    length = (right.square() + down.square()).sqrt()
    if valid is not None:
        length = length * (valid[..., :-1, 1:] & valid[..., 1:, :-1] & valid[..., :-1, :-1])
    return length.mean(dim=(2, 3, 4))


def _count(events: Tensor) -> Tensor:
    return events.sum(dim=(2, 3, 4))


MSE = Column("mse", _squared_error, power=2)
MAE = Column("mae", _absolute_error, power=1)
BIAS = Column("bias", _error, power=1)
SSIM = Column("ssim", _structural_similarity)
GRADIENTS = (
    Column("gradient", lambda forecast, _, valid: _gradient(forecast, valid)),
    Column("true_gradient", lambda _, truth, valid: _gradient(truth, valid)),
)
EVENTS = (
    Column("hits", lambda expected, happened, _: _count(expected & happened)),
    Column("misses", lambda expected, happened, _: _count(~expected & happened)),
    Column("false_alarms", lambda expected, happened, _: _count(expected & ~happened)),
)
