"""The trained peepholes of an arm's networks, as numbers: how large they became, and where."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.anatomy_result import GATES, Histogram, PeepholeWeights

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 41
"""Bins of a histogram; odd, so that 0 lies in the middle of one."""

Load = Callable[[], EncoderForecaster]
"""Gives a trained network, on the device that is computed with."""


class Peepholes(NamedTuple):
    """The peepholes of a layer to one gate."""

    layer: str
    gate: str
    values: NDArray[np.float64]
    """(seeds, hidden, H, W), or (seeds, hidden, 1, 1)."""
    full: bool
    initial_rms: float


def trained_peepholes(loads: Sequence[Load]) -> list[Peepholes]:
    """All peepholes of an arm, layer by layer and gate by gate; empty where it has none.

    Args:
        loads: the arm's networks, one for each seed, alike but for their weights. Each is loaded once.
    """
    found: dict[tuple[str, str], list[Peepholes]] = {}
    for load in loads:
        for name, layer in load().named_layers().items():
            if layer.weights.peepholes is None:
                continue
            # The mean square of uniform values in [-√(3/hidden), √(3/hidden)] is 1/hidden.
            initial = 0.0 if layer.peephole_init == "zeros" else 1 / math.sqrt(layer.hidden_channels)
            for gate in GATES:
                values = getattr(layer.weights.peepholes, gate).detach().cpu().double().numpy()
                one = Peepholes(name, gate, values, layer.peephole == "full", initial)
                found.setdefault((name, gate), []).append(one)
    return [seeds[0]._replace(values=np.stack([one.values for one in seeds])) for seeds in found.values()]


def peephole_rows(arm: str, peepholes: Sequence[Peepholes]) -> list[PeepholeWeights]:
    """Moments, quantiles, histogram and map of each layer and gate; all histograms have the same edges."""
    bound = max((np.abs(one.values).max() for one in peepholes), default=0.0) or 1.0
    edges = np.linspace(-bound, bound, BINS + 1)
    return [_row(arm, one, edges) for one in peepholes]


def _row(arm: str, one: Peepholes, edges: NDArray[np.float64]) -> PeepholeWeights:
    values = one.values
    levels = np.quantile(values, QUANTILES).tolist()
    return PeepholeWeights(
        arm,
        one.layer,
        one.gate,
        mean=float(values.mean()),
        std=float(values.std()),
        rms=math.sqrt(float(np.square(values).mean())),
        initial_rms=one.initial_rms,
        quantiles={f"{level:g}": value for level, value in zip(QUANTILES, levels, strict=True)},
        histogram=Histogram(edges.tolist(), np.histogram(values, edges)[0].tolist()),
        map=values.mean(axis=(0, 1)).tolist() if one.full else None,
    )
