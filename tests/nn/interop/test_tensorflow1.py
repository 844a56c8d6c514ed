"""TensorFlow v1 LSTMCell: weights from and to it, against the plain dense cell."""

from typing import Any

import numpy as np
import plain_cells
import pytest
import torch
from converted import assert_computes, assert_same, draw, draw_layer

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import interop


@pytest.mark.parametrize("diagonals", [(), ("w_i_diag", "w_f_diag", "w_o_diag")])
def test_a_layer_computes_what_the_plain_cell_does(diagonals: tuple[str, ...]) -> None:
    variables = {"kernel": draw(5, 12), "bias": draw(12, seed=1)}
    variables |= {name: draw(3, seed=2 + index) for index, name in enumerate(diagonals)}
    x = draw(2, 4, 2, seed=9)
    layer = interop.from_tf1(variables, forget_bias=0.5, cell_clip=0.8)
    expected = plain_cells.tensorflow1(variables, x, forget_bias=0.5, cell_clip=0.8)
    assert_computes(layer, x[..., None, None], tuple(part[..., None, None] for part in expected))  # type: ignore[arg-type]


@pytest.mark.parametrize("peephole", ["none", "channel"])
@pytest.mark.parametrize("forget_bias", [1.0, -0.25])
def test_its_arrays_compute_what_a_layer_does(peephole: str, forget_bias: float) -> None:
    layer = draw_layer(2, 3, 1, peephole=peephole, cell_clip=1.5)
    arrays, options = interop.to_tf1(layer, forget_bias=forget_bias)
    assert options == {
        "num_units": 3,
        "use_peepholes": peephole != "none",
        "cell_clip": 1.5,
        "forget_bias": forget_bias,
    }
    x = draw(2, 4, 2)
    variables = {name: torch.as_tensor(array) for name, array in arrays.items()}
    expected = plain_cells.tensorflow1(variables, x, forget_bias=forget_bias, cell_clip=1.5)
    assert_computes(layer, x[..., None, None], tuple(part[..., None, None] for part in expected))  # type: ignore[arg-type]
    assert_same(interop.from_tf1(arrays, forget_bias=forget_bias, cell_clip=1.5), layer)


def test_a_layer_without_bias_stores_what_undoes_the_forget_bias() -> None:
    variables, _ = interop.to_tf1(draw_layer(2, 3, 1, bias=False))
    assert variables["bias"].tolist() == [0.0] * 6 + [-1.0] * 3 + [0.0] * 3


def test_variables_that_a_layer_cannot_hold() -> None:
    variables: dict[str, Any] = {"kernel": np.ones((5, 12)), "bias": np.ones(12)}
    cases: list[tuple[dict[str, Any], str]] = [
        (variables | {"projection/kernel": np.ones((3, 2))}, "num_proj"),
        ({"kernel": np.ones((5, 12))}, "expected kernel and bias"),
        ({}, "variables are none"),
        (variables | {"w_i_diag": np.ones(3)}, "also w_i_diag, w_f_diag and w_o_diag"),
        (variables | {"kernel": np.ones((3, 12))}, r"kernel has shape \(3, 12\); expected \(in \+ F, 4 \* F\)"),
        (variables | {"bias": np.ones(3)}, r"LSTMCell's bias has shape \(3,\)"),
        (variables | {"bias": np.ones(12, int)}, "LSTMCell's bias holds torch"),
    ]
    for wrong, message in cases:
        with pytest.raises(UsageError, match=message):
            interop.from_tf1(wrong)
