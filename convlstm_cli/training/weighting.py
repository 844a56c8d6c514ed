"""The loss of a training, with the weights that pixels have by their true value."""

import functools
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from convlstm_cli.training.config import TrainConfig, parse_weights
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.video.values import ValueRange

if TYPE_CHECKING:
    from convlstm_cli.training.losses import Measure

FLAG = "--loss-weights"


def measure_of(config: TrainConfig, values: ValueRange) -> "Measure":
    """The measure of `config.loss`, of forecast, truth and last input frame, for frames of a range of values.

    Raises UsageError where a value of `config.loss_weights` lies outside the range.
    """
    loss = LOSSES[config.loss]
    if config.loss_weights is None:
        return loss.measure
    pairs = parse_weights(FLAG, config.loss_weights)
    for value, _ in pairs:
        values.check_inside(FLAG, value)
    least = torch.tensor([values.least_share(value) for value, _ in pairs])
    weights = torch.tensor([1.0, *(weight for _, weight in pairs)])

    @functools.cache
    def on(device: torch.device) -> tuple[Tensor, Tensor]:
        return least.to(device), weights.to(device)

    def measure(forecast: Tensor, truth: Tensor, last: Tensor) -> Tensor:
        reached, weights_there = on(truth.device)
        step = torch.bucketize(truth.contiguous(), reached, right=True)  # how many of the values are reached
        return loss.measure(forecast, truth, last, weights_there[step])

    return measure
