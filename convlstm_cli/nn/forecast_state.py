"""The state of a forecast: what the next frames are computed from, after the input or after some lead times."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from convlstm_cli.nn.motion import Advection
from convlstm_cli.nn.noise import Noise
from convlstm_cli.nn.stepwise import State

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
    """Fields of noise that are moved on with the last frame, (B, NOISE_CARRIED, H, W); they lie beside it in its
    advection where there is one."""

    def repeated(self, noise: Noise, patch: int) -> "ForecastState":
        """The same for each member of `noise`, whose forecast begins here."""
        count = noise.members
        carried = noise.begin(self.last, patch)
        advection = self.advection
        if advection is not None:
            advection = advection._replace(
                frame=repeated(advection.frame, count),
                motion=repeated(advection.motion, count),
                source=repeated(advection.source, count),
                beside=None if advection.beside is None else repeated(advection.beside, count),
                lead=None if advection.lead is None else repeated(advection.lead, count),
            ).carrying(carried)
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
        if self.advection is None:
            return (*states, self.last[:, 0])
        advection = self.advection
        moving = advection.motion, advection.source, advection.beside, advection.lead
        return (*states, self.last[:, 0], *(part for part in moving if part is not None))


def repeated(tensor: Tensor, count: int) -> Tensor:
    """What belongs to clips (B, ...) for the rows of so many members, (count B, ...)."""
    return tensor.repeat(count, *(1,) * (tensor.ndim - 1))
