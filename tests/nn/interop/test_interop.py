"""Weights from and to other systems, against what the real ones computed.

The files in golden/ were written by `scripts/verify-peers --golden`; each says by which system and version.
"""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTM, interop
from convlstm_cli.nn.cell import CellRules
from convlstm_cli.nn.interop import building

GOLDEN = {
    path.name.partition(".")[0]: path for path in sorted((Path(__file__).parents[1] / "golden").glob("*.float64.npz"))
}
SCRIPTS = Path(__file__).parents[3] / "scripts" / "verify_peers"


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", GOLDEN)
def test_outputs_states_and_gradients_are_those_of_the_peer(name: str, precision: str) -> None:
    errors = peers.compare(peers.read(GOLDEN[name]), precision)
    limit = {"float64": 1e-12, "float32": 1e-5}[precision]
    assert max(errors.forward, errors.state, errors.gradient) < limit


def test_every_case_of_verify_peers_has_a_golden_file() -> None:
    spec = importlib.util.spec_from_file_location("cases", SCRIPTS / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    names = {case.name for case in [*cases.KERAS3, *cases.TENSORFLOW2, *cases.KERAS28, *cases.NDRPLZ, *cases.OPENSTL]}
    assert names == set(GOLDEN)
    assert sum(path.stat().st_size for path in GOLDEN.values()) < 250_000


@pytest.mark.parametrize("name", GOLDEN)
def test_there_and_back_gives_the_same_arrays(name: str) -> None:
    record = peers.read(GOLDEN[name])
    weights = {
        name.removeprefix("weight/"): array.astype(np.float64)
        for name, array in record.arrays.items()
        if name.startswith("weight/")
    }
    layers = peers.import_layers(record.about, weights)
    options = (
        {"forget_bias": record.about["config"].get("forget_bias", 1.0)} if record.about["interop"] == "tf1" else {}
    )
    arrays, made = peers.export_layers(record.about, layers, **options)
    for key, array in weights.items():
        np.testing.assert_allclose(arrays[key], array, rtol=0, atol=1e-15)
    for option in made.keys() & record.about["config"].keys():
        assert np.array_equal(made[option], record.about["config"][option]), option


# What the systems cannot hold


def to_ndrplz(layer: ConvLSTM) -> object:
    return interop.to_ndrplz([layer])


def to_openstl(layer: ConvLSTM) -> object:
    return interop.to_openstl([layer])


def to_keras3(layer: ConvLSTM) -> object:
    return interop.to_keras(layer, keras_version="3.0")


TO = {
    "Keras": to_keras3,
    "peephole": interop.to_keras_peephole,
    "tf1": interop.to_tf1,
    "ndrplz": to_ndrplz,
    "openstl": to_openstl,
    "torch": interop.to_torch_lstm,
}
KERNELS, DENSE = ("Keras", "ndrplz", "openstl"), ("peephole", "tf1", "torch")
PLAIN: dict[str, Any] = {"peephole": "none", "bias": False}


@pytest.mark.parametrize(
    ("systems", "layer", "message"),
    [
        (TO, ConvLSTM(0, 3, 1, **PLAIN), "it always reads an input"),
        (TO, ConvLSTM(2, 3, 1, zoneout=0.1, **PLAIN), "it has no zoneout"),
        (KERNELS, ConvLSTM(2, 3, bias=False), "it has no peepholes"),
        (KERNELS, ConvLSTM(2, 3, peephole="full", image_size=(4, 4), bias=False), "it has no peepholes"),
        (KERNELS, ConvLSTM(2, 3, 3, 1, **PLAIN), "its two kernels have the same size"),
        (set(TO) - {"tf1"}, ConvLSTM(2, 3, 1, cell_clip=1.0, **PLAIN), "no cell clip"),
        (set(TO) - {"openstl"}, ConvLSTM(2, 3, 1, layer_norm=True, image_size=(2, 2), **PLAIN), "no layer norm"),
        (set(TO) - {"Keras"}, ConvLSTM(2, 3, 1, go_backwards=True, **PLAIN), "reads its input forwards"),
        (set(TO) - {"Keras"}, ConvLSTM(2, 3, 1, stride=2, **PLAIN), "step by 1"),
        (("ndrplz", "openstl"), ConvLSTM(2, 3, dilation=2, **PLAIN), "no dilation"),
        (set(TO) - {"Keras", "peephole"}, ConvLSTM(2, 3, 1, activation="relu", **PLAIN), "pass a tanh"),
        (DENSE, ConvLSTM(2, 3, 3, **PLAIN), "kernels must be 1x1"),
        (DENSE, ConvLSTM(2, 3, 1, peephole="full", image_size=(1, 1)), "per channel, not 'full'"),
        (("peephole",), ConvLSTM(2, 3, 1, **PLAIN), "use LSTMCell"),
        (("Keras",), ConvLSTM(2, 3, gate_activation="hard_sigmoid_keras2", **PLAIN), "is another"),
        (("Keras",), ConvLSTM(2, 3, padding=2, **PLAIN), "its padding is 'same' or 'valid'"),
        (("peephole",), ConvLSTM(2, 3, 1, gate_activation="hard_sigmoid_keras3"), "is another"),
        (("tf1", "ndrplz", "openstl"), ConvLSTM(2, 3, 1, gate_activation="relu", **PLAIN), "its gates are sigmoids"),
        (("ndrplz", "openstl"), ConvLSTM(2, 3, padding="valid", **PLAIN), "its padding is 'same'"),
    ],
)
def test_layers_that_a_system_cannot_hold(systems: Any, layer: ConvLSTM, message: str) -> None:
    for system in systems:
        convert: Callable[[ConvLSTM], object] = TO[system]
        with pytest.raises(UsageError, match=re.escape(message)):
            convert(layer)


def test_every_rule_of_the_cell_is_known_here() -> None:
    assert {*building.LIMITS, *building.TRAINING_ONLY} == set(CellRules._fields)


# The registry


def test_every_function_of_the_registry_is_in_its_file() -> None:
    named = {name for system in interop.SYSTEMS.values() for name in system.functions}
    assert named == set(interop.__all__)
    for name in named:
        assert getattr(interop, name).__module__.startswith("convlstm_cli.nn.interop.")
    with pytest.raises(AttributeError, match="no attribute 'from_matlab'"):
        _ = interop.from_matlab


def test_the_registry_imports_no_torch() -> None:
    code = "import sys, convlstm_cli.nn.interop; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
