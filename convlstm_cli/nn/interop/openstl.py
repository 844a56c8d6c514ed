"""ConvLSTMCell of OpenSTL, with and without its layer normalisation."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.cell import Norm, Norms
from convlstm_cli.nn.interop.arrays import Array, demand, expect, tensor
from convlstm_cli.nn.interop.building import build, expressible, one_kernel_size, without_peepholes
from convlstm_cli.nn.interop.ndrplz import check_stack, numbered_keys
from convlstm_cli.nn.layer import ConvLSTM

SYSTEM = "OpenSTL's ConvLSTM"


def from_openstl(state_dict: Mapping[str, Array]) -> list[ConvLSTM]:
    """The cells of an OpenSTL `ConvLSTM_Model` as one `ConvLSTM` each, the first layer first.

    `state_dict` holds `cell_list.N.conv_x.0.weight` (4F, in, k, k) and `cell_list.N.conv_h.0.weight` (4F, F, k, k),
    and with layer_norm the scales and shifts `cell_list.N.conv_x.1.weight`, `.bias` and those of conv_h, each
    (4F, H, W). A prefix before `cell_list` and all other keys are ignored: its cells have convolutions conv_o and
    conv_last that they never use. Its model reads its cells step by step, each with the states that it kept.

    Raises:
        UsageError: no such keys, two networks, a gap in the numbering, or arrays that do not fit together.
    """
    layers = []
    for key in numbered_keys(state_dict, "conv_x.0.weight"):
        cell = key.removesuffix("conv_x.0.weight")
        hidden_key = f"{cell}conv_h.0.weight"
        if hidden_key not in state_dict:
            raise UsageError(f"there is {key} but no {hidden_key}.")
        weight_ih, weight_hh = tensor(key, state_dict[key]), tensor(hidden_key, state_dict[hidden_key])
        if weight_ih.ndim != 4 or weight_ih.shape[0] % 4:
            raise UsageError(f"{key} has shape {tuple(weight_ih.shape)}; expected (4 * F, in, k, k).")
        gates = weight_ih.shape[0]
        expect(hidden_key, weight_hh, (gates, gates // 4, *weight_ih.shape[2:]))
        norms = _read_norms(state_dict, cell, gates)
        layers.append(build(weight_ih=weight_ih, weight_hh=weight_hh, bias=None, norms=norms))
    return layers


def to_openstl(layers: Iterable[ConvLSTM]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The cells' arrays for `load_state_dict(arrays, strict=False)` of OpenSTL's model, and its options.

    Not strict, because its cells also have convolutions that they never use, and its model one after the cells.
    The options are `num_hidden` and, of its config, `filter_size`, `stride` and `layer_norm`.

    Raises:
        UsageError: a bias that is not zero, peepholes, other activations than σ and tanh, kernels of different
            sizes, layers that do not fit on each other, or anything else that its cell does not have.
    """
    stack = list(layers)
    demand(SYSTEM, (bool(stack), "it has at least one layer"))
    normed, kernel = stack[0].weights.norms is not None, stack[0].kernel_size
    state_dict = {}
    for index, layer in enumerate(stack):
        cell = f"cell_list.{index}."
        weight_ih = expressible(SYSTEM, layer, ("layer_norm",))
        without_peepholes(SYSTEM, layer)
        one_kernel_size(SYSTEM, layer)
        norms = layer.weights.norms
        demand(
            SYSTEM,
            (layer.bias is None or not layer.bias.any(), f"it has no bias, and that of layer {index} is not zero"),
            (layer.kernel_size == kernel == kernel[:1] * 2, "its kernels are square, and of one size in all layers"),
            ((norms is not None) == normed, "all of its layers are normalised, or none"),
        )
        check_stack(SYSTEM, stack, index)
        state_dict[f"{cell}conv_x.0.weight"] = weight_ih.clone()
        state_dict[f"{cell}conv_h.0.weight"] = layer.weight_hh.detach().clone()
        for part, norm in (("x", norms and norms.ih), ("h", norms and norms.hh)):
            if norm is not None:
                state_dict[f"{cell}conv_{part}.1.weight"] = norm.weight.detach().clone()
                state_dict[f"{cell}conv_{part}.1.bias"] = norm.bias.detach().clone()
    options = {
        "num_hidden": [layer.hidden_channels for layer in stack],
        "filter_size": kernel[0],
        "stride": 1,
        "layer_norm": normed,
    }
    return state_dict, options


def _read_norms(state_dict: Mapping[str, Array], cell: str, gates: int) -> Norms | None:
    """The scales and shifts of one cell, or None where it has none. Raises UsageError where some are missing."""
    keys = [f"{cell}conv_{part}.1.{kind}" for part in "xh" for kind in ("weight", "bias")]
    found = [key for key in keys if key in state_dict]
    if not found:
        return None
    if found != keys:
        raise UsageError(f"{cell}conv_x and {cell}conv_h: there is {found[0]} but no {(set(keys) - set(found)).pop()}.")
    arrays = [tensor(key, state_dict[key]) for key in keys]
    size = tuple(arrays[0].shape[1:])
    if len(size) != 2:
        raise UsageError(f"{keys[0]} has shape {tuple(arrays[0].shape)}; expected (4 * F, H, W).")
    for key, array in zip(keys, arrays, strict=True):
        expect(key, array, (gates, *size))
    return Norms(Norm(arrays[0], arrays[1]), Norm(arrays[2], arrays[3]))
