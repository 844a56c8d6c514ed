"""torch.nn.LSTM: dense, with layers on each other in one or both directions, and two biases that are added."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.interop.building import bias_of, dense, layer_values, without_peepholes
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.stack import ConvLSTMStack

NAME = "torch.nn.LSTM"


def from_torch_lstm(lstm: nn.LSTM) -> ConvLSTMStack:
    """A `ConvLSTMStack` with 1x1 kernels that computes what an `nn.LSTM` computes, with all of its options.

    It reads (T, B, in, 1, 1), or (B, T, in, 1, 1) with `batch_first`; `x[..., None, None]` adds the two axes. At larger
    images it is that LSTM at every position. States are (layers * directions, B, hidden, 1, 1). The two biases of each
    layer become one, their sum; `dropout` acts between layers in both.

    Raises:
        UsageError: a projection (`proj_size`).
    """
    if lstm.proj_size:
        raise UsageError(f"{NAME} has proj_size={lstm.proj_size}; a ConvLSTM has no projection.")
    with torch.device("meta"):  # no initial values are needed, and the random state must not change
        stack = ConvLSTMStack(
            lstm.input_size,
            lstm.hidden_size,
            1,
            lstm.num_layers,
            bidirectional=lstm.bidirectional,
            dropout=float(lstm.dropout),
            batch_first=lstm.batch_first,
            peephole="none",
            bias=lstm.bias,
        )
    for layer, suffix in named_layers(stack):
        weights = [getattr(lstm, f"weight_{part}{suffix}").detach() for part in ("ih", "hh")]
        bias = None
        if lstm.bias:
            bias = getattr(lstm, f"bias_ih{suffix}").detach() + getattr(lstm, f"bias_hh{suffix}").detach()
        layer.load_state_dict(layer_values(weights[0], weights[1], bias), assign=True)
    return stack


def to_torch_lstm(stack: ConvLSTMStack | ConvLSTM) -> nn.LSTM:
    """The `nn.LSTM` that computes what a stack, or one layer, with 1x1 kernels computes.

    The first bias of each layer is ours and the second zero.

    Raises:
        UsageError: kernels other than 1x1, peepholes, other activations than σ and tanh, or anything else that
            nn.LSTM does not have.
    """
    if isinstance(stack, ConvLSTM):
        num_layers, bidirectional, dropout = 1, False, 0.0
        named: list[tuple[ConvLSTM, str]] = [(stack, "_l0")]
    else:
        num_layers, bidirectional, dropout = stack.num_layers, stack.bidirectional, stack.dropout
        named = list(named_layers(stack))
    values: dict[str, Tensor] = {}
    for layer, suffix in named:
        weight_ih, weight_hh = dense(NAME, layer)
        without_peepholes(NAME, layer)
        values[f"weight_ih{suffix}"], values[f"weight_hh{suffix}"] = weight_ih.clone(), weight_hh.clone()
        if layer.bias is not None:
            values[f"bias_ih{suffix}"], values[f"bias_hh{suffix}"] = bias_of(layer), torch.zeros_like(layer.bias)
    first = named[0][0]
    with torch.device("meta"):
        lstm = nn.LSTM(
            stack.in_channels,
            stack.hidden_channels,
            num_layers,
            bias=first.bias is not None,
            batch_first=stack.batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )
    lstm.load_state_dict(values, assign=True)
    return lstm


def named_layers(stack: ConvLSTMStack) -> Iterator[tuple[ConvLSTM, str]]:
    """The layers of a stack with the endings of their arrays' names in nn.LSTM."""
    for index in range(stack.num_layers):
        for layers, direction in ((stack.layers, ""), (stack.reverse_layers, "_reverse")):
            if layers is not None:
                layer = layers[index]
                assert isinstance(layer, ConvLSTM)
                yield layer, f"_l{index}{direction}"
