"""OpenSTL's ConvLSTM cell: weights from and to it, against the plain cell with and without layer normalisation."""

from typing import Any

import numpy as np
import plain_cells
import pytest
import torch
from converted import assert_computes, assert_same, draw, draw_layer
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import interop

SIZE = (4, 5)


def state_dict(norm: bool, inputs: int = 2, hidden: int = 3, index: int = 0) -> dict[str, Tensor]:
    """What OpenSTL saves for one cell, its unused convolutions included."""
    cell = f"cell_list.{index}."
    arrays = {
        f"{cell}conv_x.0.weight": draw(4 * hidden, inputs, 3, 3),
        f"{cell}conv_h.0.weight": draw(4 * hidden, hidden, 3, 3, seed=1),
        f"{cell}conv_o.0.weight": draw(hidden, 2 * hidden, 3, 3, seed=2),
        f"{cell}conv_last.weight": draw(hidden, 2 * hidden, 1, 1, seed=3),
        "conv_last.weight": draw(16, hidden, 1, 1),
    }
    if norm:
        for seed, part in enumerate(("x", "h", "o"), 4):
            channels = hidden if part == "o" else 4 * hidden
            arrays[f"{cell}conv_{part}.1.weight"] = draw(channels, *SIZE, seed=seed)
            arrays[f"{cell}conv_{part}.1.bias"] = draw(channels, *SIZE, seed=seed + 3)
    return arrays


@pytest.mark.parametrize("norm", [False, True])
def test_a_layer_computes_what_the_plain_cell_does(norm: bool) -> None:
    arrays, x = state_dict(norm), draw(2, 3, 2, *SIZE, seed=9)
    (layer,) = interop.from_openstl({f"method.model.{key}": value for key, value in arrays.items()})
    assert layer.layer_norm == norm
    assert_computes(layer, x, plain_cells.openstl(arrays, x, "cell_list.0."))


@pytest.mark.parametrize("options", [{}, {"layer_norm": True, "image_size": SIZE}])
def test_its_arrays_compute_what_a_layer_does(options: dict[str, Any]) -> None:
    layers = [draw_layer(below, 3, 5, peephole="none", bias=False, seed=below, **options) for below in (2, 3)]
    arrays, made = interop.to_openstl(layers)
    assert made == {"num_hidden": [3, 3], "filter_size": 5, "stride": 1, "layer_norm": bool(options)}
    x = draw(2, 3, 2, *SIZE)
    expected = plain_cells.openstl(arrays, x, "cell_list.0.")
    assert_computes(layers[0], x, expected)
    assert_computes(layers[1], expected[0], plain_cells.openstl(arrays, expected[0], "cell_list.1."))
    for one, other in zip(layers, interop.from_openstl(arrays), strict=True):
        assert_same(one, other)


def test_a_bias_is_left_out_only_where_it_is_zero() -> None:
    layer = draw_layer(2, 3, peephole="none")
    with pytest.raises(UsageError, match="it has no bias, and that of layer 0 is not zero"):
        interop.to_openstl([layer])
    with torch.no_grad():
        assert layer.bias is not None
        layer.bias.zero_()
    assert set(interop.to_openstl([layer])[0]) == {"cell_list.0.conv_x.0.weight", "cell_list.0.conv_h.0.weight"}


def test_keys_that_make_no_network() -> None:
    arrays, normed = state_dict(False), state_dict(True)
    x, h = "cell_list.0.conv_x.0.weight", "cell_list.0.conv_h.0.weight"
    missing = {key: value for key, value in normed.items() if key != "cell_list.0.conv_h.1.bias"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "expected the keys cell_list.0.conv_x.0.weight"),
        ({x: arrays[x]}, f"there is {x} but no {h}"),
        (arrays | {x: np.ones((12, 2))}, rf"{x} has shape \(12, 2\); expected \(4 \* F, in, k, k\)"),
        (arrays | {h: np.ones((12, 2, 3, 3))}, rf"{h} has shape .*; expected \(12, 3, 3, 3\)"),
        (missing, "no cell_list.0.conv_h.1.bias"),
        (normed | {"cell_list.0.conv_x.1.weight": np.ones(12)}, r"conv_x.1.weight has shape \(12,\)"),
        (normed | {"cell_list.0.conv_h.1.weight": np.ones((12, 9, 9))}, r"conv_h.1.weight has shape \(12, 9, 9\)"),
    ]
    for wrong, message in cases:
        with pytest.raises(UsageError, match=message):
            interop.from_openstl(wrong)


def test_layers_that_it_cannot_hold() -> None:
    plain, normed = (
        draw_layer(3, 3, peephole="none", bias=False),
        draw_layer(3, 3, peephole="none", bias=False, layer_norm=True, image_size=SIZE),
    )
    for stack, message in (
        ([], "at least one layer"),
        ([plain, normed], "all of its layers are normalised, or none"),
        ([draw_layer(3, 3, (3, 5), peephole="none", bias=False)], "its kernels are square"),
    ):
        with pytest.raises(UsageError, match=message):
            interop.to_openstl(stack)
