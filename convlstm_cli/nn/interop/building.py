"""A `ConvLSTM` out of arrays, and the arrays out of one after a check that the other system can hold it."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, Norms
from convlstm_cli.nn.interop.arrays import demand, expect
from convlstm_cli.nn.layer import ConvLSTM

LIMITS = {
    "gate_activation": "its gates are sigmoids",
    "activation": "its candidate and its output pass a tanh",
    "padding": "its padding is 'same'",
    "stride": "its convolutions step by 1",
    "dilation": "its convolutions have no dilation",
    "cell_clip": "it has no cell clip",
    "zoneout": "it has no zoneout",
}
"""What a system without one of `CellRules` is like, for messages."""

TRAINING_ONLY = ("detach_peepholes", "peephole")
"""Rules that change no value of a forward pass; `peephole` says what the weights show."""


def build(
    *,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None,
    peepholes: Sequence[Tensor] = (),
    norms: Norms | None = None,
    **options: Any,
) -> ConvLSTM:
    """A layer with copies of these values, in their precision.

    Args:
        weight_ih: (4F, in, *kernel), gates i, f, g, o; (4F, in) of a dense cell makes 1x1 kernels.
        weight_hh: (4F, F, *kernel), or (4F, F).
        bias: (4F,), or None for a layer without bias.
        peepholes: of the gates i, f and o, each (F,); none for a layer without.
        norms: layer normalisation, each scale and shift (4F, *size), or None.
        options: further options of `ConvLSTM`.
    """
    values = layer_values(weight_ih, weight_hh, bias, peepholes, norms)
    weight_ih, weight_hh = values["weight_ih"], values["weight_hh"]
    if norms is not None:
        options |= {"layer_norm": True, "image_size": tuple(norms.hh.weight.shape[1:])}
    with torch.device("meta"):  # no initial values are needed, and the random state must not change
        layer = ConvLSTM(
            weight_ih.shape[1],
            weight_hh.shape[1],
            tuple(weight_ih.shape[2:]),
            tuple(weight_hh.shape[2:]),
            peephole="channel" if peepholes else "none",
            dimensions=weight_ih.ndim - 2,
            bias=bias is not None,
            **options,
        )
    layer.load_state_dict(values, assign=True)
    return layer


def layer_values(
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None,
    peepholes: Sequence[Tensor] = (),
    norms: Norms | None = None,
) -> dict[str, Tensor]:
    """A layer's state dict with copies of these values; arguments as in `build`."""
    if weight_ih.ndim == 2:
        weight_ih, weight_hh = weight_ih[:, :, None, None], weight_hh[:, :, None, None]
    hidden, sides = weight_hh.shape[1], weight_ih.ndim - 2
    values = {"weight_ih": weight_ih, "weight_hh": weight_hh}
    if bias is not None:
        values["bias"] = bias
    for gate, peephole in zip("ifo", peepholes, strict=False):
        expect(f"the peephole of gate {gate}", peephole, (hidden,))
        values[f"peephole_{gate}"] = peephole.reshape(hidden, *(1,) * sides)
    if norms is not None:
        assert norms.ih is not None
        values |= {"norm_ih.weight": norms.ih.weight, "norm_ih.bias": norms.ih.bias}
        values |= {"norm_hh.weight": norms.hh.weight, "norm_hh.bias": norms.hh.bias}
    return {
        name: value.to(weight_ih.dtype).clone(memory_format=torch.contiguous_format) for name, value in values.items()
    }


def expressible(system: str, layer: ConvLSTM, may: Collection[str] = ()) -> Tensor:
    """weight_ih of a layer that has an input, and of all rules of a cell at most those named in `may`.

    A rule that this file does not know is refused, so that no system is given a cell that it computes otherwise.
    """
    demand(
        system,
        (layer.in_channels > 0, "it always reads an input"),
        (not layer.layer_norm or "layer_norm" in may, "it has no layer normalisation"),
        (not layer.go_backwards or "go_backwards" in may, "it reads its input forwards"),
    )
    plain, rules = CellRules(), layer.rules
    for rule in CellRules._fields:
        if rule in TRAINING_ONLY or rule in may:
            continue
        holds = getattr(rules, rule) == getattr(plain, rule)
        if rule == "padding" and set(layer.kernel_size) == {1} and rules.padding == "valid":
            holds = True
        demand(system, (holds, LIMITS.get(rule, f"it has no {rule}")))
    assert layer.weight_ih is not None
    return layer.weight_ih.detach()


def dense(system: str, layer: ConvLSTM, may: Collection[str] = ()) -> tuple[Tensor, Tensor]:
    """weight_ih as (4F, in) and weight_hh as (4F, F) of a layer whose kernels are 1x1."""
    weight_ih = expressible(system, layer, may)
    demand(
        system,
        (set(layer.kernel_size) == set(layer.recurrent_kernel_size) == {1}, "it is dense, so kernels must be 1x1"),
        (layer.peephole != "full", "its peepholes are per channel, not 'full'"),
    )
    return weight_ih.flatten(1), layer.weight_hh.detach().flatten(1)


def without_peepholes(system: str, layer: ConvLSTM) -> None:
    """Raises UsageError for a layer with peepholes."""
    demand(system, (layer.peephole == "none", f"it has no peepholes, and this layer has {layer.peephole!r} ones"))


def one_kernel_size(system: str, layer: ConvLSTM) -> None:
    """Raises UsageError where the kernels over input and hidden state differ in size."""
    demand(system, (layer.recurrent_kernel_size == layer.kernel_size, "its two kernels have the same size"))


def channel_peepholes(layer: ConvLSTM) -> list[Tensor]:
    """The peepholes of gates i, f and o, each (F,), or an empty list."""
    peepholes = layer.weights.peepholes
    return [] if peepholes is None else [peephole.detach().flatten() for peephole in peepholes]


def bias_of(layer: ConvLSTM) -> Tensor:
    """A copy of the bias, (4F,); zeros where there is none."""
    return layer.weight_hh.new_zeros(4 * layer.hidden_channels) if layer.bias is None else layer.bias.detach().clone()
