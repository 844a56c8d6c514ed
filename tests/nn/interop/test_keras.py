"""ConvLSTM1D, 2D and 3D: weights from and to Keras, against the plain cell in Keras' layout."""

from typing import Any

import numpy as np
import plain_cells
import pytest
import torch
from converted import assert_computes, assert_same, draw, draw_layer
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import interop

KERAS = {"padding": "same", "recurrent_activation": "sigmoid"}

OPTIONS: list[tuple[int, dict[str, Any]]] = [
    (1, {"kernel_size": (4,), "strides": (2,), "padding": "same", "activation": "relu"}),
    (1, {"kernel_size": (3,), "dilation_rate": (2,), "padding": "valid", "use_bias": False}),
    (2, {"kernel_size": (3, 2), "strides": (1, 3), "padding": "valid", "go_backwards": True}),
    (2, {"kernel_size": (2, 5), "dilation_rate": (2, 1), "padding": "same", "activation": "softsign"}),
    (3, {"kernel_size": (3, 1, 2), "strides": (2, 2, 1), "padding": "same", "activation": "linear"}),
]
SIZES = {1: (9,), 2: (6, 8), 3: (4, 5, 6)}
HARD = {"2.15.0": "hard_sigmoid_2", "3.15.1": "hard_sigmoid_3"}


def arrays(kernel: tuple[int, ...], inputs: int = 2, filters: int = 3, bias: bool = True) -> list[Tensor]:
    made = [draw(*kernel, inputs, 4 * filters), draw(*kernel, filters, 4 * filters, seed=1)]
    return [0.4 * array for array in [*made, *([draw(4 * filters, seed=2)] if bias else [])]]


def plain(weights: list[Tensor], x: Tensor, config: dict[str, Any], version: str) -> tuple[Tensor, Tensor, Tensor]:
    names = ("padding", "strides", "dilation_rate", "activation", "recurrent_activation", "go_backwards")
    options = {name: config[name] for name in names if name in config}
    if options["recurrent_activation"] == "hard_sigmoid":
        options["recurrent_activation"] = HARD[version]
    return plain_cells.keras(weights, x, **options)


@pytest.mark.parametrize("version", HARD)
@pytest.mark.parametrize(("sides", "options"), OPTIONS)
def test_a_layer_computes_what_the_plain_cell_does(sides: int, options: dict[str, Any], version: str) -> None:
    config = {"recurrent_activation": "hard_sigmoid", **options}
    weights = arrays(config["kernel_size"], bias=config.get("use_bias", True))
    x = draw(2, 3, *SIZES[sides], 2, seed=3)
    layer = interop.from_keras(weights, config, keras_version=version, data_format="channels_last")
    assert_computes(layer, x, plain(weights, x, config, version))
    back, made = interop.to_keras(layer, keras_version=version)
    for one, other in zip(weights, back, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)
    assert {name: made[name] for name in config} == config


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (draw_layer(2, 3, 3, dimensions=1, peephole="none", stride=2, dropout=0.5), (8,)),
        (draw_layer(2, 3, (3, 4), peephole="none", padding="valid", dilation=2, bias=False), (8, 9)),
        (draw_layer(2, 3, (1, 2, 3), dimensions=3, peephole="none", activation="elu", go_backwards=True), (3, 4, 4)),
    ],
)
def test_its_arrays_compute_what_a_layer_does(layer: Any, size: tuple[int, ...]) -> None:
    weights, config = interop.to_keras(layer, keras_version="3.15.1")
    x = draw(2, 3, 2, *size)
    y, h, c = plain([torch.as_tensor(weight) for weight in weights], x.movedim(2, -1), config, "3.15.1")
    assert_computes(layer.eval(), x, (y.movedim(-1, 2), h.movedim(-1, 1), c.movedim(-1, 1)))
    assert_same(interop.from_keras(weights, config, keras_version="3.15.1"), layer)


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
    layer = interop.from_keras([array.to(dtype) for array in arrays((3, 3))], KERAS, keras_version="3.0")
    assert {parameter.dtype for parameter in layer.parameters()} == {dtype}
    numpy_has = {torch.float64: np.float64, torch.float16: np.float16, torch.bfloat16: np.float32}
    assert {array.dtype for array in interop.to_keras(layer, keras_version="3.0")[0]} == {np.dtype(numpy_has[dtype])}


def test_read_only_and_reversed_arrays_will_do() -> None:
    weights = [np.ones((3, 3, 2, 12)), np.ones((3, 3, 3, 12)), np.ones(12)]
    for index, array in enumerate(weights):
        array *= np.arange(array.shape[-1])
        weights[index] = array[..., ::-1]
        weights[index].setflags(write=False)
    layer = interop.from_keras(weights, KERAS, keras_version="3.0")
    assert layer.bias is not None
    assert layer.bias.tolist() == list(range(11, -1, -1))


def test_what_has_no_place_in_a_layer_is_passed_over() -> None:
    more = {"stateful": True, "return_sequences": False, "seed": 3, "kernel_regularizer": None}
    sizes = {"kernel_size": 3, "filters": 3, "strides": 1, "dilation_rate": [1, 1]}
    layer = interop.from_keras(arrays((3, 3)), KERAS | more | sizes, keras_version="2.15.0")
    assert layer.return_sequences
    assert layer.return_state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "softmax"}, "activation is 'softmax'; a ConvLSTM has sigmoid, .*, tanh"),
        ({"recurrent_activation": {"class_name": "Mine"}}, "recurrent_activation is .*Mine"),
        ({"recurrent_activation": None}, "config must name it"),
        ({"padding": None}, "config must say 'same' or 'valid'"),
        ({"kernel_size": (5, 5)}, "kernel_size"),
        ({"filters": 4}, "filters 3, but config says 4"),
        ({"strides": (1, 2, 3)}, "stride is"),
    ],
)
def test_options_that_a_layer_cannot_express(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        interop.from_keras(arrays((3, 3)), KERAS | change, keras_version="3.0")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (arrays((3, 3))[:1], "not 1 arrays"),
        ([np.ones((2, 12))] * 2, r"ConvLSTM's kernel has shape \(2, 12\); expected \(k, in, 4 \* F\), with one, two"),
        ([arrays((3, 3))[0], arrays((3, 3), filters=2)[1]], r"recurrent kernel has shape .* expected \(3, 3, 3, 12\)"),
        ([*arrays((3, 3))[:2], np.ones(3)], r"bias has shape \(3,\); expected \(12,\)"),
        ([np.ones((1, 1, 1, 4), np.int64)] * 2, r"ConvLSTM's kernel holds torch\.int64"),
    ],
)
def test_arrays_that_do_not_fit(weights: list[Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        interop.from_keras(weights, KERAS, keras_version="3.0")


@pytest.mark.parametrize("version", ["latest", "", "v3"])
def test_a_keras_version_that_is_none(version: str) -> None:
    with pytest.raises(UsageError, match="keras_version is"):
        interop.from_keras(arrays((1, 1)), KERAS | {"recurrent_activation": "hard_sigmoid"}, keras_version=version)


def test_a_function_has_no_name_in_keras() -> None:
    with pytest.raises(UsageError, match="activation is a function"):
        interop.to_keras(draw_layer(1, 1, peephole="none", activation=torch.sin), keras_version="3.0")
