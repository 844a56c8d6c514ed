"""How the second stack of an `EncoderForecaster` forecasts: a function for each kind of forecaster, in `UNROLLINGS`."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecast_state import Factors, ForecastState, repeated
from convlstm_cli.nn.head import Head
from convlstm_cli.nn.kinds import HEADS, Forecaster, registry
from convlstm_cli.nn.motion import blur
from convlstm_cli.nn.noise import Fields
from convlstm_cli.nn.stepwise import State

BLUR = 1.0
"""σ in pixels of the blur of the moved frame that a mix may use. It stands for uncertain positions: where a thing will
be is harder to forecast than its appearance."""


class FutureInputs(NamedTuple):
    """What is given for the frames to forecast; None where it is not given."""

    known: Tensor | None = None
    """(B, T, known, H, W): the inputs that are known ahead."""
    truth: Tensor | None = None
    """(B, T, C, H, W): the frames themselves, for teacher forcing."""
    teacher_forced: Tensor | None = None
    """(B, T) bool: true where the true frame is read in place of the forecast one."""

    def at(self, first: int, steps: int) -> "FutureInputs":
        """The same for so many steps from `first` on."""
        return FutureInputs(*(None if each is None else each[:, first : first + steps] for each in self))

    def repeated(self, members: int) -> "FutureInputs":
        """The same for each of so many members, in the order of `ForecastState.repeated`."""
        return FutureInputs(*(None if each is None else repeated(each, members) for each in self))


NOTHING_GIVEN = FutureInputs()


class Network(Protocol):
    """What an unrolling asks of an `EncoderForecaster`."""

    @property
    def config(self) -> ForecasterConfig:
        """The options of the network."""

    @property
    def head(self) -> Head:
        """From hidden states to frames."""

    def unroll(
        self, x: Tensor | None, states: list[State], steps: int | None, factors: Factors = ()
    ) -> tuple[Tensor, list[State]]:
        """The second stack over `steps` steps, or over x."""

    def noise_fields(self, current: ForecastState, frames: Tensor, carried: Tensor | None = None) -> Fields | None:
        """The noise at the next lead times; None for a network that reads none."""

    def to_patches(self, frames: Tensor) -> Tensor:
        """Frames after space-to-depth."""


Unrolling = Callable[[Network, ForecastState, int, FutureInputs], tuple[Tensor, ForecastState]]
"""Gives the next frames (B, steps, C, H, W), for so many steps, and the state after them."""


def _advected(
    network: Network, current: ForecastState, steps: int, given: FutureInputs
) -> tuple[Tensor, ForecastState]:
    """Reads the last frame, moved on to each lead time along its motion."""
    last, advection = current.last, current.advection
    assert advection is not None
    with autocast(last.device, None):
        seen, beside, advection = advection.advance(steps)
        known = list(seen.clamp(0.0, 1.0).unbind(dim=2))  # cubic convolution goes beyond the values of a frame
        moved, count = known[0], network.config.past_channels
        past, carried = (None, None) if beside is None else (beside[:, :, :count], beside[:, :, count:])
        noise = network.noise_fields(current, moved, carried)
        if HEADS[network.config.head].mixes:
            known += [blur(moved.flatten(0, 1), BLUR).view_as(moved), last]
    patches = _beside(network.to_patches(_with(moved, given.known)), noise)
    hidden, states = network.unroll(patches, current.states, None, current.factors)
    pixels = None if noise is None else noise.pixels
    return network.head(hidden, known, pixels, past if count else None), current._replace(
        states=states, advection=advection
    )


def _unconditioned(
    network: Network, current: ForecastState, steps: int, given: FutureInputs
) -> tuple[Tensor, ForecastState]:
    """Reads nothing, as in the paper, but what is known for the frames to forecast."""
    noise = network.noise_fields(current, current.last.expand(-1, steps, -1, -1, -1))
    known = _beside(None if given.known is None else network.to_patches(given.known), noise)
    hidden, states = network.unroll(known, current.states, steps, current.factors)
    seen = None if noise is None else noise.pixels
    return network.head(hidden, [current.last], seen), current._replace(states=states)


def _autoregressive(
    network: Network, current: ForecastState, steps: int, given: FutureInputs
) -> tuple[Tensor, ForecastState]:
    """Reads its own last forecast, or the true frame where teacher forcing asks for it."""
    states, last = current.states, current.last
    forecast = []
    for step in range(steps):
        now = given.at(step, 1)
        noise = network.noise_fields(current, last)
        patches = _beside(network.to_patches(_with(last, now.known)), noise)
        hidden, states = network.unroll(patches, states, None, current.factors)
        last = network.head(hidden, [last], None if noise is None else noise.pixels)
        forecast.append(last)
        if now.truth is not None and now.teacher_forced is not None:
            last = torch.where(now.teacher_forced.view(-1, 1, 1, 1, 1), now.truth, last)
    # A copy, because a view would keep the whole piece in memory and would change with it.
    return torch.cat(forecast, dim=1), current._replace(states=states, last=last.clone())


def _with(frames: Tensor, known: Tensor | None) -> Tensor:
    """Frames with the known inputs behind their channels."""
    return frames if known is None else torch.cat((frames, known.to(frames.dtype)), dim=2)


def _beside(patches: Tensor | None, noise: Fields | None) -> Tensor | None:
    """The input of the second stack, (B, T, channels, h, w), with the grid fields of noise behind its channels."""
    if noise is None:
        return patches
    return noise.grid if patches is None else torch.cat((patches, noise.grid.to(patches.dtype)), dim=2)


UNROLLINGS: dict[str, Unrolling] = registry(
    Forecaster,
    {"advected": _advected, "unconditioned": _unconditioned, "autoregressive": _autoregressive},
)
