"""ConvLSTM of ndrplz/ConvLSTM_pytorch: layers on each other, each one convolution over input and hidden state."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.interop.arrays import OURS, Array, demand, expect, regate, tensor
from convlstm_cli.nn.interop.building import bias_of, build, expressible, one_kernel_size, without_peepholes
from convlstm_cli.nn.layer import ConvLSTM

GATES = "ifog"
"""The order of the gates in its arrays."""


def from_ndrplz(state_dict: Mapping[str, Array]) -> list[ConvLSTM]:
    """The layers of an ndrplz `ConvLSTM` as one `ConvLSTM` each, the first layer first.

    `state_dict` holds `cell_list.N.conv.weight` (4F, in + F, k, k), one convolution over x and h concatenated,
    and with bias `cell_list.N.conv.bias` (4F,). A prefix before `cell_list` and other keys are ignored, so the state
    dict of a model that contains the network works too.

    Raises:
        UsageError: no such keys, two networks, a gap in the numbering, or arrays that do not fit together.
    """
    keys = numbered_keys(state_dict, "conv.weight")
    layers = []
    for key in keys:
        weight = tensor(key, state_dict[key])
        if weight.ndim != 4 or weight.shape[0] % 4 or weight.shape[1] <= weight.shape[0] // 4:
            raise UsageError(f"{key} has shape {tuple(weight.shape)}; expected (4 * F, in + F, k, k).")
        hidden = weight.shape[0] // 4
        bias_key = key.removesuffix("weight") + "bias"
        bias = None
        if bias_key in state_dict:
            bias = tensor(bias_key, state_dict[bias_key])
            expect(bias_key, bias, (4 * hidden,))
            bias = regate(bias, GATES, OURS)
        weight = regate(weight, GATES, OURS)
        layers.append(build(weight_ih=weight[:, :-hidden], weight_hh=weight[:, -hidden:], bias=bias))
    return layers


def to_ndrplz(layers: Iterable[ConvLSTM]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A state dict for ndrplz' `ConvLSTM(**options)`, and those options; `layers` as they are stacked.

    Raises:
        UsageError: peepholes, other activations than σ and tanh, padding other than "same", kernels of different
            sizes, layers that do not fit on each other, or anything else that its cell does not have.
    """
    system = "ndrplz' ConvLSTM"
    stack = list(layers)
    demand(system, (bool(stack), "it has at least one layer"))
    biased = any(layer.bias is not None for layer in stack)
    state_dict = {}
    for index, layer in enumerate(stack):
        weight_ih = expressible(system, layer)
        without_peepholes(system, layer)
        one_kernel_size(system, layer)
        check_stack(system, stack, index)
        weight = torch.cat([weight_ih, layer.weight_hh.detach()], dim=1)
        state_dict[f"cell_list.{index}.conv.weight"] = regate(weight, OURS, GATES)
        if biased:
            state_dict[f"cell_list.{index}.conv.bias"] = regate(bias_of(layer), OURS, GATES)
    options = {
        "input_dim": stack[0].in_channels,
        "hidden_dim": [layer.hidden_channels for layer in stack],
        "kernel_size": [layer.kernel_size for layer in stack],
        "num_layers": len(stack),
        "bias": biased,
        "batch_first": stack[0].batch_first,
    }
    return state_dict, options


def numbered_keys(state_dict: Mapping[str, Array], rest: str) -> list[str]:
    """The keys `cell_list.0.REST`, `cell_list.1.REST` and so on, with any prefix before them, in order.

    Raises UsageError where there are none, two networks', or a gap in the numbering.
    """
    keys: dict[int, str] = {}
    for key in state_dict:
        match = re.fullmatch(rf"(?:.*\.)?cell_list\.(\d+)\.{re.escape(rest)}", key)
        if match:
            index = int(match[1])
            if index in keys:
                raise UsageError(f"two networks in one state dict: {keys[index]} and {key}; pass one of them.")
            keys[index] = key
    if sorted(keys) != list(range(len(keys))) or not keys:
        raise UsageError(
            f"expected the keys cell_list.0.{rest}, cell_list.1.{rest} and so on; "
            f"found {', '.join(keys.values()) or 'none of them'}."
        )
    return [keys[index] for index in range(len(keys))]


def check_stack(system: str, stack: Sequence[ConvLSTM], index: int) -> None:
    """Raises UsageError unless a layer reads the channels of the layer below it, in images."""
    layer = stack[index]
    demand(
        system,
        (layer.dimensions == 2, f"it reads images, and layer {index} has {layer.dimensions} dimensions"),
        (
            index == 0 or layer.in_channels == stack[index - 1].hidden_channels,
            f"layer {index} reads {layer.in_channels} channels, not those of the layer below it",
        ),
    )
