"""The state of a forecast: what the next frames are computed from, after the input or after some lead times."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from convlstm_cli.nn.motion import Advection
from convlstm_cli.nn.noise import Noise
from convlstm_cli.nn.recurrence import State

Factors = Sequence[Tensor]
"""Dropout in one stack: the factors of what each layer gives to the next, (B, 1, hidden, 1, 1); none where nothing is
dropped."""


class ForecastState(NamedTuple):
    """What the next frames of a forecast are computed from, after the input or after some lead times."""

    states: list[State]
    """(h, c) of each layer of the second stack."""
    last: Tensor
    """(B, 1, C, H, W): the last frame seen, or the last forecast where that is fed back."""
    advection: Advection | None = None
    """The advection of the last frame, where the forecaster moves it on."""
    factors: Factors = ()
    """Dropout in the second stack."""
    noise: Noise | None = None
    """The noise of members, whose rows follow one another: all clips of the first, then of the second."""
    carried: Tensor | None = None
    """Fields of noise that are moved on with the last frame, (B, NOISE_CARRIED, H, W); they are further channels of its
    advection where there is one."""

    def repeated(self, noise: Noise, patch: int) -> "ForecastState":
        """The same for each member of `noise`, whose forecast begins here."""
        count = noise.members
        carried = noise.begin(self.last, patch)
        advection = self.advection
        if advection is not None:
            frame, motion, source = (repeated(each, count) for each in advection[:3])
            advection = advection._replace(frame=torch.cat((frame, carried), dim=1), motion=motion, source=source)
        return ForecastState(
            [(repeated(h, count), repeated(c, count)) for h, c in self.states],
            repeated(self.last, count),
            advection,
            [repeated(each, count) for each in self.factors],
            noise,
            carried if self.advection is not None else noise.seen(carried),
        )

    def flat(self) -> tuple[Tensor, ...]:
        """The tensors of the state of a forecast without noise, as `EncoderForecaster.state_names` names them."""
        states = [part for state in self.states for part in state]
        moving = () if self.advection is None else (self.advection.motion, self.advection.source)
        return (*states, self.last[:, 0], *moving)


def repeated(tensor: Tensor, count: int) -> Tensor:
    """What belongs to clips (B, ...) for the rows of so many members, (count B, ...)."""
    return tensor.repeat(count, *(1,) * (tensor.ndim - 1))
