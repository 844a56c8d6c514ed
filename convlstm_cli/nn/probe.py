"""Shows the gates of every time step while a network runs; the fast recurrence does not return them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.cell import CellValues, cell_values
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.stepwise import State


@contextlib.contextmanager
def watching(network: EncoderForecaster, see: Callable[[str, CellValues], None]) -> Iterator[None]:
    """Context in which `see` is called with each time step of each ConvLSTM layer, and with the layer's name.

    Names are those of `named_layers`; the steps of a layer come in order, and none is kept. Forecasts do not change:
    each layer that has run is computed once more, step by step. An error that `see` raises ends the forecast.
    """
    with contextlib.ExitStack() as hooks:
        for name, layer in network.named_layers().items():
            hooks.callback(layer.register_forward_hook(_hook(name, see), with_kwargs=True).remove)
        yield


def replay(
    layer: ConvLSTM, x: Tensor | None, state: State | None = None, *, steps: int | None = None
) -> Iterator[CellValues]:
    """The steps of `layer(x, state, steps=steps)`, one at a time, without gradients.

    Autocast is off, so that a gate near a threshold is not rounded onto it.
    """
    weights = layer.weights
    like = weights.weight_hh
    if state is not None:
        h, c = (part.to(like.dtype) for part in state)
    else:
        assert x is not None
        h = c = like.new_zeros(len(x), layer.hidden_channels, *layer.state_size(x.shape[-2], x.shape[-1]))
    for x_t in (None,) * (steps or 0) if x is None else x.unbind(dim=1):
        # Entered for each step, because a suspended generator would leave its caller in this mode.
        with torch.no_grad(), autocast(like.device, None):
            values = cell_values(None if x_t is None else x_t.to(like.dtype), h, c, weights, layer.rules)
        h, c = values.h, values.c
        yield values


def _hook(name: str, see: Callable[[str, CellValues], None]) -> Callable[..., None]:
    def hook(layer: ConvLSTM, args: tuple[Any, ...], kwargs: dict[str, Any], _: object) -> None:
        for values in replay(layer, *args, **kwargs):
            see(name, values)

    return hook
