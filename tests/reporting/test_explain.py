"""explain(): what it says is what the network has."""

import io
import json
import re
from dataclasses import asdict, replace
from typing import get_args

import pytest
from rich.console import Console

from convlstm_cli.nn import EncoderForecaster, ForecasterConfig, cell
from convlstm_cli.nn.config import Forecaster, GateActivation, Head, Peephole
from convlstm_cli.nn.interop.arrays import OURS
from convlstm_cli.nn.interop.systems import SYSTEMS
from convlstm_cli.reporting.explain import GATE_ORDER, READS, SIGMAS, explain, render

CONFIG = ForecasterConfig(16, 24, 1, hidden=(4, 3), kernel_size=5, recurrent_kernel_size=3)


def show(config: ForecasterConfig, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    for part in render(explain(config)):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("forecaster", get_args(Forecaster))
@pytest.mark.parametrize("peephole", get_args(Peephole))
def test_names_shapes_and_counts_are_the_networks(peephole: Peephole, forecaster: Forecaster, head: Head) -> None:
    config = replace(CONFIG, peephole=peephole, forecaster=forecaster, head=head)
    explanation = explain(config)
    network = dict(EncoderForecaster(config).named_parameters())
    explained = {weight.name: weight for layer in explanation.layers for weight in layer.weights}
    assert {name: weight.shape for name, weight in explained.items()} == {
        name: tuple(parameter.shape) for name, parameter in network.items()
    }
    assert all(weight.parameters == network[name].numel() for name, weight in explained.items())
    assert explanation.parameters == sum(parameter.numel() for parameter in network.values())
    assert explanation.parameters == sum(layer.parameters for layer in explanation.layers)
    peepholes = [parameter.numel() for name, parameter in network.items() if "peephole" in name]
    assert explanation.peephole_parameters == sum(peepholes)
    assert (explanation.peephole_parameters == 0) == (peephole == "none")


@pytest.mark.parametrize("peephole", get_args(Peephole))
def test_equations_are_those_of_the_cell(peephole: Peephole) -> None:
    """nn/cell.py states them with peepholes; without, the W_c terms and nothing else are gone."""
    assert cell.__doc__ is not None
    equations_alone = cell.__doc__.split("\n\n")[2]
    stated = [" ".join(line.split()) for line in equations_alone.splitlines()]
    stated = [line.replace("; sees the new cell state", "") for line in stated]
    if peephole == "none":
        stated = [re.sub(r" \+ W_c. ∘ c_\S+", "", line) for line in stated]
    equations = explain(replace(CONFIG, peephole=peephole)).equations
    assert [f"{equation.formula} {equation.meaning}" for equation in equations] == stated


def test_dilation_layer_norm_and_dropout_stand_in_the_equations_and_the_weights() -> None:
    config = replace(CONFIG, dilation=2, layer_norm=True, dropout=0.25, forecaster="unconditioned", peephole="full")
    explanation = explain(config)
    input_gate = "i_t = σ(LN(W_xi *_2 (m ∘ x_t)) + LN(W_hi * h_{t-1}) + W_ci ∘ c_{t-1} + b_i)"
    assert explanation.equations[0].formula == input_gate
    notes = " ".join(explanation.notes)
    assert "its 5x5 weights span 9x9" in notes
    assert "LN is layer normalisation" in notes
    assert "at a rate of 0.25 and divides the others by 0.75" in notes
    explained = {weight.name: weight.shape for layer in explanation.layers for weight in layer.weights}
    network = EncoderForecaster(config).named_parameters()
    assert explained == {name: tuple(parameter.shape) for name, parameter in network}
    assert not {"LN", "dropout", "*_"} & set(" ".join(explain(CONFIG).notes).split())


@pytest.mark.parametrize("activation", get_args(GateActivation))
def test_the_sigma_is_the_configured_one(activation: GateActivation) -> None:
    notes = explain(replace(CONFIG, gate_activation=activation)).notes
    assert [note for note in notes if note.startswith("σ(")] == [SIGMAS[activation]]


def test_gate_order_is_that_of_the_arrays() -> None:
    assert ", ".join(OURS) == GATE_ORDER
    stacked = next(weight for weight in explain(CONFIG).layers[0].weights if weight.name.endswith("weight_ih"))
    assert stacked.symbols == "W_xi, W_xf, W_xg, W_xo"


def test_it_is_json() -> None:
    explanation = asdict(explain(CONFIG))
    assert json.loads(json.dumps(explanation)) == json.loads(json.dumps(explanation, default=list))
    assert [system["name"] for system in explanation["systems"]] == list(SYSTEMS)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_rendered_whole_at_any_width(width: int) -> None:
    text = show(CONFIG, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert f"{explain(CONFIG).parameters:,} parameters" in text


def test_every_weight_and_system_is_shown() -> None:
    explanation = explain(CONFIG)
    text = show(CONFIG, 500)
    assert all(weight.name in text for layer in explanation.layers for weight in layer.weights)
    assert all(system.name in text and system.trap in text for system in explanation.systems)


def test_without_peepholes_none_are_shown() -> None:
    text = show(replace(CONFIG, peephole="none"), 160)
    assert "W_ci" not in text
    assert "of which 0 (0.00%) are peepholes (none)" in text


@pytest.mark.parametrize("forecaster", get_args(Forecaster))
def test_what_the_forecaster_reads_and_the_head_makes_is_said(forecaster: Forecaster) -> None:
    def notes(head: Head) -> str:
        return " ".join(explain(replace(CONFIG, forecaster=forecaster, head=head)).notes)

    assert READS[forecaster] in notes("mix")
    assert ("moved on along the medium motion, the first one blurred, the last input frame" in notes("mix")) == (
        forecaster == "advected"
    )
    assert ("frame = the frame moved on along the medium motion + new" in notes("residual")) == (
        forecaster == "advected"
    )
    assert ("The latest motion is that of two frames" in notes("motions")) == (forecaster == "advected")
    assert "frame = σ(new), as in the paper" in notes("sigmoid")
