"""PeepholeLSTMCell: weights from and to it, against the plain dense cell."""

import numpy as np
import plain_cells
import pytest
import torch
from converted import assert_computes, assert_same, draw, draw_layer

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import interop


@pytest.mark.parametrize("gates", ["sigmoid", "hard_sigmoid"])
def test_a_layer_computes_what_the_plain_cell_does(gates: str) -> None:
    arrays = [draw(2, 12), draw(3, 12), draw(12), draw(3), draw(3, seed=1), draw(3, seed=2)]
    x = draw(2, 4, 2, seed=3)
    layer = interop.from_keras_peephole(arrays, {"recurrent_activation": gates})
    expected = plain_cells.peephole_lstm(arrays, x, {"hard_sigmoid": "hard_sigmoid_2"}.get(gates, gates))
    assert_computes(layer, x[..., None, None], tuple(part[..., None, None] for part in expected))  # type: ignore[arg-type]


@pytest.mark.parametrize(("ours", "theirs"), [("sigmoid", "sigmoid"), ("hard_sigmoid_keras2", "hard_sigmoid_2")])
def test_its_arrays_compute_what_a_layer_does(ours: str, theirs: str) -> None:
    layer = draw_layer(2, 3, 1, gate_activation=ours)
    arrays, config = interop.to_keras_peephole(layer)
    assert config["units"] == 3
    x = draw(2, 4, 2)
    expected = plain_cells.peephole_lstm([torch.as_tensor(array) for array in arrays], x, theirs)
    assert_computes(layer, x[..., None, None], tuple(part[..., None, None] for part in expected))  # type: ignore[arg-type]
    assert_same(interop.from_keras_peephole(arrays, config), layer)


def test_arrays_that_do_not_fit() -> None:
    square = [np.ones((3, 12)), np.ones((3, 12)), np.ones(12), np.ones(3), np.ones(3), np.ones(3)]
    config = {"recurrent_activation": "sigmoid"}
    assert interop.from_keras_peephole(square, config).peephole == "channel"
    assert interop.from_keras_peephole(square[:2] + square[3:], config).bias is None
    with pytest.raises(UsageError, match="6 arrays, or 5 without bias, not 4"):
        interop.from_keras_peephole(square[:4], config)
    with pytest.raises(UsageError, match=r"peephole of gate o has shape \(4,\)"):
        interop.from_keras_peephole([*square[:5], np.ones(4)], config)
    with pytest.raises(UsageError, match=r"PeepholeLSTMCell's kernel has shape .* expected \(in, 4 \* F\)"):
        interop.from_keras_peephole([np.ones((1, 3, 12)), *square[1:]], config)
    with pytest.raises(UsageError, match="config must name it"):
        interop.from_keras_peephole(square, {})
