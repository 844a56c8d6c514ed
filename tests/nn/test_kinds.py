"""The registries: a name and its entry go together, and one entry is enough for a new kind."""

from dataclasses import fields
from typing import Any, Literal, get_args

import pytest
import torch
from torch import Tensor

from convlstm_cli.nn import EncoderForecaster, ForecasterConfig, config, kinds, unrolling
from convlstm_cli.nn.activations import GATE_ACTIVATIONS


def test_a_name_without_an_entry_is_an_error_at_import() -> None:
    names = Literal["one", "two"]
    assert kinds.registry(names, {"one": 1, "two": 2}) == {"one": 1, "two": 2}
    for entries in ({"one": 1}, {"one": 1, "two": 2, "three": 3}, {"two": 2, "one": 1}):
        with pytest.raises(TypeError, match=r"entries for .* names \('one', 'two'\)"):
            kinds.registry(names, entries)


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (kinds.Peephole, kinds.PEEPHOLES),
        (kinds.GateActivation, kinds.GATE_ACTIVATION_KINDS),
        (kinds.GateActivation, GATE_ACTIVATIONS),
        (kinds.Forecaster, kinds.FORECASTERS),
        (kinds.Forecaster, unrolling.UNROLLINGS),
        (kinds.Head, kinds.HEADS),
    ],
)
def test_every_table_has_every_name(names: Any, table: dict[str, Any]) -> None:
    assert tuple(table) == get_args(names)


@pytest.mark.parametrize(
    ("option", "table"),
    [
        ("peephole", kinds.PEEPHOLES),
        ("gate_activation", kinds.GATE_ACTIVATION_KINDS),
        ("forecaster", kinds.FORECASTERS),
        ("head", kinds.HEADS),
    ],
)
def test_help_describes_every_kind(option: str, table: dict[str, Any]) -> None:
    [text] = [field.metadata["help"] for field in fields(ForecasterConfig) if field.name == option]
    for name, kind in table.items():
        assert f"{name}: {kind.text}" in text


@pytest.mark.parametrize("name", ["hard_sigmoid_keras3", "hard_sigmoid_keras2"])
def test_slopes_are_those_of_the_functions(name: str) -> None:
    x = torch.tensor([-0.5, 0.0, 1.0], requires_grad=True)
    (slope,) = torch.autograd.grad(GATE_ACTIVATIONS[name](x).sum(), x)
    assert slope.tolist() == pytest.approx([kinds.GATE_ACTIVATION_KINDS[name].slope] * 3, rel=1e-7)


def test_a_new_kind_of_forecaster_needs_an_entry_and_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def frozen(
        network: EncoderForecaster, progress: Any, steps: int, _given: unrolling.FutureInputs
    ) -> tuple[Tensor, Any]:
        frames = progress.last.expand(-1, steps, -1, -1, -1)
        hidden, states = network.unroll(network.to_patches(frames), progress.states, None)
        return network.head(hidden, [progress.last]), progress._replace(states=states)

    monkeypatch.setattr(config, "Forecaster", Literal["advected", "unconditioned", "autoregressive", "frozen"])
    monkeypatch.setitem(kinds.FORECASTERS, "frozen", kinds.ForecasterKind("the last input frame", reads=True))
    monkeypatch.setitem(unrolling.UNROLLINGS, "frozen", frozen)
    made: Any = ForecasterConfig(8, 12, 1, hidden=(3,), patch_size=4, forecaster="frozen")  # type: ignore[arg-type]
    assert made.layers()[1]["in_channels"] == 16
    network = EncoderForecaster(made).eval()
    frames = torch.rand(2, 4, 1, 8, 12)
    whole = network(frames, 5)
    assert whole.shape == (2, 5, 1, 8, 12)
    state = network.start(frames)
    assert len(state) == len(network.state_names)
    for frame in frames.unbind(dim=1):
        state = network.read(frame, state)
    for expected in whole.unbind(dim=1):
        forecast, state = network.step(state)
        torch.testing.assert_close(forecast, expected)
