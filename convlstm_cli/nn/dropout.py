"""Dropout with one mask for all steps (Gal and Ghahramani 2016): of values, as in Keras, and of whole channels."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.errors import UsageError

GATES = 4


class DropoutMasks(NamedTuple):
    """Factors of one sequence, for the gates i, f, g, o one after another: 0 where dropped, else 1 / (1 - rate)."""

    x: Tensor | None
    """(B, 4*in, H, W), of every x_t; None where nothing is dropped."""
    h: Tensor | None
    """(B, 4*hidden, H, W), of every h_{t-1}."""


def draw(rate: float, frames: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """A mask for frames of a shape (B, channels, H, W), in the type of `frames`; None for rate 0."""
    if not rate:
        return None
    batch, channels, *size = shape
    return F.dropout(torch.ones(batch, GATES * channels, *size, device=frames.device, dtype=frames.dtype), rate)


def draw_channels(rate: float, batch: int, channels: int, generator: torch.Generator | None = None) -> Tensor:
    """Factors of whole channels, (B, channels) on the CPU: 0 where dropped, else 1 / (1 - rate).

    Neighbouring positions of a channel say nearly the same, so that dropping single ones would drop little (Tompson et
    al. 2015). Without a generator the draws are those of torch's global one.
    """
    return (torch.rand(batch, channels, generator=generator, device="cpu") >= rate) / (1.0 - rate)


def check_rate(option: str, rate: object) -> None:
    """Raises UsageError that names `option` unless `rate` is a probability below 1."""
    if not isinstance(rate, int | float) or not 0.0 <= rate < 1.0:
        raise UsageError(f"{option} is {rate}; it must be at least 0 and below 1.")
