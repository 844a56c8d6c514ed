"""Weights from and to other systems, against what the real ones computed.

The files in golden/ were written by `scripts/verify-peers --golden`; each says by which system and version.
"""

import importlib.util
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTM, interop

GOLDEN = {
    path.name.partition(".")[0]: path for path in sorted(Path(__file__).with_name("golden").glob("*.float64.npz"))
}
SCRIPTS = Path(__file__).parents[2] / "scripts" / "verify_peers"


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
    names = {case.name for case in [*cases.KERAS3, *cases.TENSORFLOW2, *cases.KERAS28, *cases.NDRPLZ]}
    assert names == set(GOLDEN)
    assert sum(path.stat().st_size for path in GOLDEN.values()) < 200_000


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
        assert made[option] == record.about["config"][option]


# The other way round: any layer that a system can hold comes back as it was


def draw_layer(*arguments: Any, seed: int, **options: Any) -> ConvLSTM:
    torch.manual_seed(seed)
    layer = ConvLSTM(*arguments, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def assert_same(one: ConvLSTM, other: ConvLSTM) -> None:
    assert one.rules == other.rules
    assert one.kernel_size == other.kernel_size
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0.0, atol=1e-14)


channels = st.integers(1, 4)
odd = st.sampled_from([1, 3, 5])
seeds = st.integers(0, 2**31)
quick = settings(max_examples=20, deadline=None)


@quick
@given(
    channels,
    channels,
    st.tuples(odd, odd),
    st.sampled_from(["same", "valid"]),
    st.sampled_from(["2.15.0", "3.0"]),
    seeds,
)
def test_keras_round_trip(
    inputs: int, hidden: int, kernel: tuple[int, int], padding: str, version: str, seed: int
) -> None:
    gates = {"2.15.0": "hard_sigmoid_keras2", "3.0": "hard_sigmoid_keras3"}[version]
    layer = draw_layer(inputs, hidden, kernel, peephole="none", padding=padding, gate_activation=gates, seed=seed)
    weights, config = interop.to_keras(layer, keras_version=version)
    assert config["recurrent_activation"] == "hard_sigmoid"
    assert_same(interop.from_keras(weights, config, keras_version=version), layer)


@quick
@given(channels, channels, st.sampled_from(["sigmoid", "hard_sigmoid_keras2"]), seeds)
def test_keras_peephole_round_trip(inputs: int, hidden: int, gates: str, seed: int) -> None:
    layer = draw_layer(inputs, hidden, 1, gate_activation=gates, seed=seed)
    assert_same(interop.from_keras_peephole(*interop.to_keras_peephole(layer)), layer)


@quick
@given(channels, channels, st.sampled_from(["none", "channel"]), st.floats(-2, 2), st.sampled_from([None, 1.5]), seeds)
def test_tf1_round_trip(
    inputs: int, hidden: int, peephole: str, forget_bias: float, cell_clip: float | None, seed: int
) -> None:
    layer = draw_layer(inputs, hidden, 1, peephole=peephole, cell_clip=cell_clip, seed=seed)
    variables, options = interop.to_tf1(layer, forget_bias=forget_bias)
    assert options["use_peepholes"] == (peephole != "none")
    back = interop.from_tf1(variables, forget_bias=options["forget_bias"], cell_clip=options["cell_clip"])
    assert_same(back, layer)


@quick
@given(st.lists(channels, min_size=2, max_size=12), st.tuples(odd, odd), seeds)
def test_ndrplz_round_trip(widths: list[int], kernel: tuple[int, int], seed: int) -> None:
    """Up to eleven layers: 10 comes after 9, not after 1."""
    layers = [
        draw_layer(below, hidden, kernel, peephole="none", seed=seed + index)
        for index, (below, hidden) in enumerate(itertools.pairwise(widths))
    ]
    state_dict, options = interop.to_ndrplz(layers)
    assert options["hidden_dim"] == widths[1:]
    back = interop.from_ndrplz({f"model.{key}": value for key, value in state_dict.items()} | {"head": torch.ones(1)})
    for one, other in zip(layers, back, strict=True):
        assert_same(one, other)


# What is taken over, and what is refused


def keras_weights(inputs: int = 2, hidden: int = 3, kernel: tuple[int, int] = (3, 3)) -> list[np.ndarray]:
    return [
        np.ones((*kernel, inputs, 4 * hidden), np.float32),
        np.ones((*kernel, hidden, 4 * hidden), np.float32),
        np.ones(4 * hidden, np.float32),
    ]


KERAS = {"padding": "same", "recurrent_activation": "sigmoid"}


def test_arrays_are_copied_and_train_and_leave_the_random_state_alone() -> None:
    kernel, recurrent, bias = (torch.ones(shape) for shape in [(1, 1, 1, 4), (1, 1, 1, 4), (4,)])
    before = torch.get_rng_state()
    layer = interop.from_keras([kernel, recurrent, bias], KERAS, keras_version="3.0")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in layer.parameters())
    weights, _ = interop.to_keras(layer, keras_version="3.0")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    for array in (kernel, recurrent, bias, *map(torch.as_tensor, weights)):
        assert (array == 1).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_precision_is_that_of_the_arrays(dtype: torch.dtype) -> None:
    weights = [torch.as_tensor(array).to(dtype) for array in keras_weights()]
    layer = interop.from_keras(weights, KERAS, keras_version="3.0")
    assert {parameter.dtype for parameter in layer.parameters()} == {dtype}
    numpy_has = {torch.float64: np.float64, torch.float16: np.float16, torch.bfloat16: np.float32}
    assert {array.dtype for array in interop.to_keras(layer, keras_version="3.0")[0]} == {np.dtype(numpy_has[dtype])}


def test_read_only_and_reversed_arrays_will_do() -> None:
    weights = keras_weights()
    for index, array in enumerate(weights):
        array *= np.arange(array.shape[-1], dtype=np.float32)
        weights[index] = array[..., ::-1]
        weights[index].setflags(write=False)
    layer = interop.from_keras(weights, KERAS, keras_version="3.0")
    assert layer.bias.tolist() == list(range(11, -1, -1))


def test_whole_numbers_are_no_weights() -> None:
    with pytest.raises(UsageError, match=r"an array holds torch\.int64"):
        interop.from_keras([np.ones((1, 1, 1, 4), np.int64)] * 2, KERAS, keras_version="3.0")


def test_without_bias_it_is_zero_and_not_the_forget_bias() -> None:
    layer = interop.from_keras(keras_weights()[:2], KERAS, keras_version="3.0")
    assert (layer.bias == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": [2, 2]}, "strides"),
        ({"dilation_rate": (1, 2)}, "dilation_rate"),
        ({"go_backwards": True}, "flip the frames"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"recurrent_activation": "relu"}, "recurrent_activation is 'relu'"),
        ({"recurrent_activation": None}, "config must say 'sigmoid' or 'hard_sigmoid'"),
        ({"padding": None}, "config must say 'same' or 'valid'"),
        ({"kernel_size": (5, 5)}, "kernel_size"),
        ({"filters": 4}, "filters 3, but config says 4"),
    ],
)
def test_keras_options_that_a_layer_cannot_express(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        interop.from_keras(keras_weights(), KERAS | change, keras_version="3.0")


def test_harmless_keras_options_are_passed_over() -> None:
    more = {"strides": 1, "dilation_rate": [1, 1], "data_format": "channels_first", "dropout": 0.5, "stateful": True}
    sizes = {"kernel_size": 3, "filters": 3}
    assert interop.from_keras(keras_weights(), KERAS | more | sizes, keras_version="2.15.0").hidden_channels == 3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (keras_weights(kernel=(4, 4)), "odd number"),
        (keras_weights()[:1], "not 1 arrays"),
        ([np.ones((2, 12))] * 2, r"kernel has shape \(2, 12\); expected \(k, k, in, 4 \* F\)"),
        ([keras_weights()[0], keras_weights(hidden=2)[1]], r"recurrent kernel has shape .* expected \(3, 3, 3, 12\)"),
        ([*keras_weights()[:2], np.ones(3)], r"bias has shape \(3,\); expected \(12,\)"),
    ],
)
def test_keras_arrays_that_do_not_fit(weights: list[np.ndarray], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        interop.from_keras(weights, KERAS, keras_version="3.0")


@pytest.mark.parametrize("version", ["latest", "", "v3"])
def test_a_keras_version_that_is_none(version: str) -> None:
    with pytest.raises(UsageError, match="keras_version is"):
        interop.from_keras(keras_weights(), KERAS | {"recurrent_activation": "hard_sigmoid"}, keras_version=version)


def test_peephole_cell_arrays_that_do_not_fit() -> None:
    square = [np.ones((3, 12)), np.ones((3, 12)), np.ones(12), np.ones(3), np.ones(3), np.ones(3)]
    config = {"recurrent_activation": "sigmoid"}
    assert interop.from_keras_peephole(square, config).peephole == "channel"
    assert (interop.from_keras_peephole(square[:2] + square[3:], config).bias == 0).all()
    with pytest.raises(UsageError, match="6 arrays, or 5 without bias, not 4"):
        interop.from_keras_peephole(square[:4], config)
    with pytest.raises(UsageError, match=r"peephole of gate o has shape \(4,\)"):
        interop.from_keras_peephole([*square[:5], np.ones(4)], config)
    with pytest.raises(UsageError, match="config must say"):
        interop.from_keras_peephole(square, {})


def test_tf1_variables_that_a_layer_cannot_hold() -> None:
    variables: dict[str, Any] = {"kernel": np.ones((5, 12)), "bias": np.ones(12)}
    diagonals = {f"w_{gate}_diag": np.ones(3) for gate in "ifo"}
    layer = interop.from_tf1(variables | diagonals)
    assert (layer.in_channels, layer.hidden_channels, layer.peephole) == (2, 3, "channel")
    assert layer.bias.tolist() == [1.0] * 3 + [2.0] * 3 + [1.0] * 6
    cases: list[tuple[dict[str, Any], str]] = [
        (variables | {"projection/kernel": np.ones((3, 2))}, "num_proj"),
        ({"kernel": np.ones((5, 12))}, "expected kernel and bias"),
        ({}, "variables are none"),
        (variables | {"w_i_diag": np.ones(3)}, "also w_i_diag, w_f_diag and w_o_diag"),
        (variables | {"kernel": np.ones((3, 12))}, r"kernel has shape \(3, 12\); expected \(in \+ F, 4 \* F\)"),
        (variables | {"bias": np.ones(3)}, r"bias has shape \(3,\)"),
    ]
    for wrong, message in cases:
        with pytest.raises(UsageError, match=message):
            interop.from_tf1(wrong)


def test_ndrplz_keys_that_make_no_network() -> None:
    weight, key = np.ones((12, 5, 3, 3)), "cell_list.{}.conv.weight"
    assert (interop.from_ndrplz({key.format(0): weight})[0].bias == 0).all()
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "found none of them"),
        ({key.format(1): weight}, "cell_list.0.conv.weight, cell_list.1.conv.weight and so on"),
        ({"a." + key.format(0): weight, "b." + key.format(0): weight}, "two networks in one state dict"),
        ({key.format(0): np.ones((12, 3, 3, 3))}, r"expected \(4 \* F, in \+ F, k, k\)"),
        ({key.format(0): weight, "cell_list.0.conv.bias": np.ones(3)}, r"conv.bias has shape \(3,\)"),
        ({key.format(0): np.ones((12, 5, 2, 2))}, "odd number"),
    ]
    for wrong, message in cases:
        with pytest.raises(UsageError, match=message):
            interop.from_ndrplz(wrong)


def to_ndrplz(layer: ConvLSTM) -> object:
    return interop.to_ndrplz([layer])


def to_keras3(layer: ConvLSTM) -> object:
    return interop.to_keras(layer, keras_version="3.0")


TO = {"Keras": to_keras3, "peephole": interop.to_keras_peephole, "tf1": interop.to_tf1, "ndrplz": to_ndrplz}
KERNELS, DENSE = ("Keras", "ndrplz"), ("peephole", "tf1")


@pytest.mark.parametrize(
    ("systems", "layer", "message"),
    [
        (TO, ConvLSTM(0, 3, 1, peephole="none"), "it always reads an input"),
        (KERNELS, ConvLSTM(2, 3), "it has no peepholes"),
        (KERNELS, ConvLSTM(2, 3, peephole="full", image_size=(4, 4)), "it has no peepholes"),
        (KERNELS, ConvLSTM(2, 3, 3, 1, peephole="none"), "kernel"),
        (("Keras", "peephole", "ndrplz"), ConvLSTM(2, 3, 1, peephole="none", cell_clip=1.0), "no cell clip"),
        (DENSE, ConvLSTM(2, 3, 3), "kernels must be 1x1"),
        (DENSE, ConvLSTM(2, 3, 1, peephole="full", image_size=(1, 1)), "per channel, not 'full'"),
        (("peephole",), ConvLSTM(2, 3, 1, peephole="none"), "use LSTMCell"),
        (("Keras",), ConvLSTM(2, 3, peephole="none", gate_activation="hard_sigmoid_keras2"), "is another"),
        (("peephole",), ConvLSTM(2, 3, 1, gate_activation="hard_sigmoid_keras3"), "is another"),
        (("tf1",), ConvLSTM(2, 3, 1, gate_activation="hard_sigmoid_keras2"), "its gates are sigmoids"),
        (("ndrplz",), ConvLSTM(2, 3, peephole="none", gate_activation="hard_sigmoid_keras3"), "its gates are sigmoids"),
        (("ndrplz",), ConvLSTM(2, 3, peephole="none", padding="valid"), "its padding is 'same'"),
    ],
)
def test_layers_that_a_system_cannot_hold(systems: Any, layer: ConvLSTM, message: str) -> None:
    for system in systems:
        convert: Callable[[ConvLSTM], object] = TO[system]
        with pytest.raises(UsageError, match=re.escape(message)):
            convert(layer)


def test_ndrplz_layers_must_fit_on_each_other() -> None:
    plain = ConvLSTM(2, 3, peephole="none")
    with pytest.raises(UsageError, match="layer 1 reads 2 channels"):
        interop.to_ndrplz([plain, plain])
    with pytest.raises(UsageError, match="at least one layer"):
        interop.to_ndrplz([])
