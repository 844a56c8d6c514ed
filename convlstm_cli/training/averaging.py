"""The moving average of the weights: what is validated, saved and used."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float, device: torch.device | None = None) -> AveragedModel:
    """The average of a network's weights; it counts its updates on `device`, or else on the CPU."""
    return AveragedModel(network, device=device, multi_avg_fn=_moving_average(decay))


def share_on_device(count: Tensor, decay: float) -> Tensor:
    """The share of the new weights in the average after `count` updates, a float32 scalar where the count is."""
    updates = count.double()
    return (1.0 - (updates / (updates + 9.0)).clamp(max=decay)).float()


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """An update for `AveragedModel`: an exponential moving average that forgets the first weights faster."""

    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        count = int(updates)
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, count / (count + 9)))

    return update
