"""torch.nn.LSTM: the real one beside ours, over combinations of its options, and weights both ways."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from converted import assert_same, draw, draw_layer
from torch import nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTMStack, interop

sys.path.append(str(Path(__file__).parents[3] / "scripts" / "verify_peers"))

import torch_grid
from differences import LIMITS


@pytest.mark.parametrize("row", torch_grid.cases(), ids=str)
def test_outputs_states_and_gradients_are_those_of_nn_lstm(row: dict[str, Any]) -> None:
    assert max(torch_grid.run(row, "float64").values()) < LIMITS["float64"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_stack_comes_back_as_it_was(bias: bool, bidirectional: bool) -> None:
    torch.manual_seed(0)
    stack = ConvLSTMStack(
        2, 3, 1, 2, bidirectional=bidirectional, bias=bias, peephole="none", dropout=0.25, batch_first=False
    ).double()
    lstm = interop.to_torch_lstm(stack)
    x = draw(4, 2, 2)
    y, (h, c) = lstm.eval()(x)
    ours, (our_h, our_c) = stack.eval()(x[..., None, None])
    for one, other in ((ours, y), (our_h, h), (our_c, c)):
        torch.testing.assert_close(one[..., 0, 0], other, rtol=1e-10, atol=1e-12)
    back = interop.from_torch_lstm(lstm)
    assert_same(back, stack)


def test_two_biases_become_their_sum_and_the_second_is_zero_on_the_way_back() -> None:
    lstm = nn.LSTM(2, 3).double()
    given = lstm.state_dict()
    back = interop.to_torch_lstm(interop.from_torch_lstm(lstm))
    made = back.state_dict()
    assert torch.equal(made["bias_ih_l0"], given["bias_ih_l0"] + given["bias_hh_l0"])
    assert not made["bias_hh_l0"].any()
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in back.parameters())


def test_one_layer_is_an_nn_lstm_too() -> None:
    layer, x = draw_layer(2, 3, 1, peephole="none"), draw(2, 4, 2)
    lstm = interop.to_torch_lstm(layer)
    torch.testing.assert_close(lstm(x)[0], layer(x[..., None, None])[0][..., 0, 0], rtol=1e-10, atol=1e-12)


def test_what_has_no_counterpart_is_refused() -> None:
    with pytest.raises(UsageError, match="proj_size=1; a ConvLSTM has no projection"):
        interop.from_torch_lstm(nn.LSTM(2, 3, proj_size=1))
    with pytest.raises(UsageError, match=r"torch\.nn\.LSTM cannot hold this ConvLSTM: .* 1x1"):
        interop.to_torch_lstm(ConvLSTMStack(2, 3, 3, peephole="none"))
