"""ndrplz' ConvLSTM: weights from and to it, against the plain cells in its layout."""

import itertools
from typing import Any

import numpy as np
import plain_cells
import pytest
import torch
from converted import assert_same, draw, draw_layer
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTM, interop

KEY = "cell_list.{}.conv.weight"


def run(layers: list[ConvLSTM], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The layers on each other."""
    h = c = x
    for layer in layers:
        x, (h, c) = layer(x)
    return x, h, c


def assert_equal(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_layers_compute_what_the_plain_cells_do(bias: bool) -> None:
    state_dict = {KEY.format(0): draw(12, 5, 3, 5) / 4, KEY.format(1): draw(16, 7, 3, 3, seed=1) / 4}
    if bias:
        state_dict |= {"cell_list.0.conv.bias": draw(12), "cell_list.1.conv.bias": draw(16)}
    x = draw(2, 3, 2, 4, 5, seed=2)
    prefixed = {f"model.{key}": value for key, value in state_dict.items()} | {"head": torch.ones(1)}
    assert_equal(run(interop.from_ndrplz(prefixed), x), plain_cells.ndrplz(state_dict, x))


def test_its_arrays_compute_what_layers_do() -> None:
    """Eleven layers: 10 comes after 9, not after 1."""
    widths = [2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    layers = [
        draw_layer(below, hidden, (3, 1), peephole="none", seed=index)
        for index, (below, hidden) in enumerate(itertools.pairwise(widths))
    ]
    state_dict, options = interop.to_ndrplz(layers)
    assert options == {
        "input_dim": 2,
        "hidden_dim": widths[1:],
        "kernel_size": [(3, 1)] * 11,
        "num_layers": 11,
        "bias": True,
        "batch_first": True,
    }
    x = draw(1, 3, 2, 4, 3)
    assert_equal(run(layers, x), plain_cells.ndrplz(state_dict, x))
    for one, other in zip(layers, interop.from_ndrplz(state_dict), strict=True):
        assert_same(one, other)


def test_without_bias_there_is_none() -> None:
    plain, biased = draw_layer(1, 1, peephole="none", bias=False), draw_layer(1, 1, peephole="none")
    state_dict, options = interop.to_ndrplz([plain])
    assert list(state_dict) == [KEY.format(0)]
    assert not options["bias"]
    mixed, _ = interop.to_ndrplz([biased, plain])
    assert mixed["cell_list.1.conv.bias"].tolist() == [0.0] * 4


def test_keys_that_make_no_network() -> None:
    weight = np.ones((12, 5, 3, 3))
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "found none of them"),
        ({KEY.format(1): weight}, "cell_list.0.conv.weight, cell_list.1.conv.weight and so on"),
        ({"a." + KEY.format(0): weight, "b." + KEY.format(0): weight}, "two networks in one state dict"),
        ({KEY.format(0): np.ones((12, 3, 3, 3))}, r"expected \(4 \* F, in \+ F, k, k\)"),
        ({KEY.format(0): weight, "cell_list.0.conv.bias": np.ones(3)}, r"cell_list.0.conv.bias has shape \(3,\)"),
        ({KEY.format(0): weight.astype(int)}, "cell_list.0.conv.weight holds torch.int64"),
    ]
    for wrong, message in cases:
        with pytest.raises(UsageError, match=message):
            interop.from_ndrplz(wrong)


def test_layers_must_fit_on_each_other() -> None:
    plain = ConvLSTM(2, 3, peephole="none")
    with pytest.raises(UsageError, match="layer 1 reads 2 channels"):
        interop.to_ndrplz([plain, plain])
    with pytest.raises(UsageError, match="at least one layer"):
        interop.to_ndrplz([])
    with pytest.raises(UsageError, match="layer 0 has 1 dimensions"):
        interop.to_ndrplz([ConvLSTM(2, 3, peephole="none", dimensions=1)])
