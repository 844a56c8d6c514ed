"""What the forecast loses where trained peepholes are set to zero."""

import copy
from collections.abc import Sequence

import torch

from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.anatomy_result import ALL, GATES, KnockOut
from convlstm_cli.scoring.formulae import finite, mean

KNOCKED_OUT = (*GATES, ALL)
"""Gates whose peepholes are set to zero, in turn."""


def without_peepholes(network: EncoderForecaster, gate: str) -> EncoderForecaster:
    """A copy of the network whose peepholes to one gate, or to `ALL` of them, are zero in every layer."""
    knocked = copy.deepcopy(network)
    for layer in knocked.named_layers().values():
        assert layer.weights.peepholes is not None
        for name in GATES if gate == ALL else (gate,):
            torch.nn.init.zeros_(getattr(layer.weights.peepholes, name))
    return knocked


def cost(arm: str, gate: str, mse: Sequence[float], intact: Sequence[float]) -> KnockOut:
    """How much the MSE rises without the peepholes to a gate.

    Args:
        mse: without them, of each seed.
        intact: with them, of each seed.
    """
    mean_mse, mean_intact = mean(list(mse)), mean(list(intact))
    by_seed = [_relative(one, reference) for one, reference in zip(mse, intact, strict=True)]
    return KnockOut(arm, gate, mean_mse, _relative(mean_mse, mean_intact), by_seed)


def _relative(mse: float, intact: float) -> float | None:
    return finite(mse / intact - 1) if intact > 0 else None
