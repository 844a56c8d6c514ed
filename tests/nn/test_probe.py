"""Replayed steps against what the layers themselves gave."""

from collections import defaultdict
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from convlstm_cli.nn import ConvLSTM, EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.cell import CellValues
from convlstm_cli.nn.config import Forecaster, GateActivation, Peephole
from convlstm_cli.nn.probe import replay, watching
from convlstm_cli.nn.stepwise import State

CONFIG = ForecasterConfig(
    16, 24, 1, hidden=(4, 3), peephole="full", peephole_init="uniform", input_frames=4, horizon=3, patch_size=2
)


def make(config: ForecasterConfig) -> tuple[EncoderForecaster, Tensor]:
    """A network whose gates go far, and frames."""
    torch.manual_seed(0)
    network = EncoderForecaster(config).eval()
    for layer in network.named_layers().values():
        assert layer.bias is not None
        torch.nn.init.normal_(layer.bias, std=3.0)
    return network, torch.rand(2, config.input_frames, 1, config.height, config.width)


def run_watched(network: EncoderForecaster, frames: Tensor) -> tuple[dict[str, list[CellValues]], dict[str, list[Any]]]:
    """The steps that were shown, and the outputs of every call, by layer."""
    seen: dict[str, list[CellValues]] = defaultdict(list)
    outputs: dict[str, list[tuple[Tensor, State]]] = defaultdict(list)

    def keep(name: str) -> Any:
        return lambda *given: outputs[name].append(given[-1])  # after the layer and its input

    handles = [layer.register_forward_hook(keep(name)) for name, layer in network.named_layers().items()]
    with torch.inference_mode(), watching(network, lambda name, values: seen[name].append(values)):
        network(frames)
    for handle in handles:
        handle.remove()
    return seen, outputs


def check(seen: list[CellValues], calls: list[tuple[Tensor, State]], tolerance: float) -> None:
    """That the h of every step and the c at the end of every call are the layer's own."""
    h = torch.cat([output for output, _ in calls], dim=1).float()
    torch.testing.assert_close(torch.stack([values.h for values in seen], dim=1), h, atol=tolerance, rtol=0.0)
    end = 0
    for output, (_, c) in calls:
        end += output.shape[1]
        torch.testing.assert_close(seen[end - 1].c, c, atol=tolerance, rtol=0.0)


@pytest.mark.parametrize("cell_clip", [None, 0.3])
@pytest.mark.parametrize("gate_activation", get_args(GateActivation))
@pytest.mark.parametrize("peephole", get_args(Peephole))
@pytest.mark.parametrize("forecaster", get_args(Forecaster))
def test_replay_is_what_the_layers_computed(
    forecaster: Forecaster, peephole: Peephole, gate_activation: GateActivation, cell_clip: float | None
) -> None:
    network, frames = make(replace(CONFIG, forecaster=forecaster, peephole=peephole, gate_activation=gate_activation))
    for layer in network.named_layers().values():
        layer.rules = layer.rules._replace(cell_clip=cell_clip)
    seen, outputs = run_watched(network, frames)
    assert list(seen) == ["encoder 0", "encoder 1", "forecaster 0", "forecaster 1"]
    for name, values in seen.items():
        assert len(values) == (4 if name.startswith("encoder") else 3)
        check(values, outputs[name], 1e-5)
    if cell_clip is not None:
        assert max(step.c.abs().max() for values in seen.values() for step in values) == pytest.approx(cell_clip)


def test_replay_takes_any_layer() -> None:
    layer = ConvLSTM(2, 3, padding="valid").double()
    x = torch.randn(2, 3, 2, 5, 6, dtype=torch.float64)
    _, state = layer(x)
    for given in (None, state):
        outputs, _ = layer(x, given)
        steps = list(replay(layer, x, given))
        torch.testing.assert_close(torch.stack([values.h for values in steps], dim=1), outputs)
        assert not steps[0].h.requires_grad


def test_autocast_does_not_round_the_replay() -> None:
    network, frames = make(CONFIG)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen, outputs = run_watched(network, frames)
    for name, values in seen.items():
        assert all(gate.dtype == torch.float32 for step in values for gate in step)
        check(values, outputs[name], 0.1)


def test_watching_changes_no_forecast_and_leaves_nothing_behind() -> None:
    network, frames = make(CONFIG)
    before = network(frames)
    with watching(network, lambda *_: None):
        assert torch.equal(network(frames), before)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watching(network, stop):
        network(frames)
    assert torch.equal(network(frames), before)  # nobody raises any more
