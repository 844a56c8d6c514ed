"""The ConvLSTM, one time step, as plain PyTorch. Read this file to learn what a ConvLSTM computes.

Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting",
NIPS 2015, equation 3, with `*` a convolution and `∘` a product position by position:

    i_t = σ(W_xi * x_t + W_hi * h_{t-1} + W_ci ∘ c_{t-1} + b_i)      input gate
    f_t = σ(W_xf * x_t + W_hf * h_{t-1} + W_cf ∘ c_{t-1} + b_f)      forget gate
    g_t = tanh(W_xg * x_t + W_hg * h_{t-1} + b_g)                    candidate
    c_t = f_t ∘ c_{t-1} + i_t ∘ g_t                                  cell state
    o_t = σ(W_xo * x_t + W_ho * h_{t-1} + W_co ∘ c_t + b_o)          output gate; sees the new cell state
    h_t = o_t ∘ tanh(c_t)                                            hidden state

W_ci, W_cf and W_co are the peepholes (Gers and Schmidhuber 2000). Without them this is Keras' ConvLSTM2D.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.kinds import GateActivation, Peephole, registry


class Peepholes(NamedTuple):
    """W_ci, W_cf and W_co, each (hidden, 1, 1): one weight per channel, or (hidden, H, W): `full`."""

    i: Tensor
    f: Tensor
    o: Tensor


class CellWeights(NamedTuple):
    """All weights of one layer; the four gates are stacked i, f, g, o along the first axis."""

    weight_ih: Tensor | None
    """(4*hidden, in, k, k); None for a cell without input."""
    weight_hh: Tensor
    """(4*hidden, hidden, r, r)"""
    bias: Tensor
    """(4*hidden,)"""
    peepholes: Peepholes | None
    """None makes the cell Keras' ConvLSTM2D."""


class CellRules(NamedTuple):
    """What defines a cell beside its weights; the defaults are those of the paper."""

    gate_activation: GateActivation = "sigmoid"
    """σ of the gates i, f and o."""
    padding: tuple[int, int] | None = None
    """Zero rows and columns around the input; None keeps its size. (0, 0) is Keras' "valid"."""
    cell_clip: float | None = None
    """Bound of |c_t|, applied before the output gate sees it, as in TensorFlow v1's LSTMCell."""
    detach_peepholes: bool = False
    """Gers' rule: no gradient flows from the gates through the peepholes into the cell state."""
    peephole: Peephole = "channel"
    """Kind of the peepholes, if the weights have any; read by kernels. The equations take any shape that broadcasts."""


PAPER = CellRules()

GATE_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = registry(
    GateActivation,
    {
        "sigmoid": torch.sigmoid,
        "hard_sigmoid_keras3": F.hardsigmoid,  # x/6 + 0.5, clipped to [0, 1]; also PyTorch's hard sigmoid
        "hard_sigmoid_keras2": lambda x: torch.clamp(0.2 * x + 0.5, 0.0, 1.0),  # also that of tf.keras and Theano
    },
)


class CellValues(NamedTuple):
    """All values of one time step, each (B, hidden, H, W) and after its activation."""

    i: Tensor
    """In [0, 1], as f and o."""
    f: Tensor
    g: Tensor
    """In [-1, 1]."""
    o: Tensor
    c: Tensor
    h: Tensor
    """In (-1, 1)."""


def cell_step(
    x: Tensor | None, h: Tensor, c: Tensor, weights: CellWeights, rules: CellRules = PAPER
) -> tuple[Tensor, Tensor]:
    """One time step: (x_t, h_{t-1}, c_{t-1}) to (h_t, c_t).

    x is (B, in, H, W), or None for a cell without input; h and c are (B, hidden, H, W). h_t lies in (-1, 1).
    """
    values = cell_values(x, h, c, weights, rules)
    return values.h, values.c


def cell_values(x: Tensor | None, h: Tensor, c: Tensor, weights: CellWeights, rules: CellRules = PAPER) -> CellValues:
    """One time step with all its gates: (x_t, h_{t-1}, c_{t-1}) to (i, f, g, o, c, h)_t."""
    weight_ih, weight_hh, bias, peepholes = weights
    sigma = GATE_ACTIVATIONS[rules.gate_activation]

    gates = F.conv2d(h, weight_hh, bias, padding=_same(weight_hh))  # (B, 4*hidden, H, W)
    if x is not None and weight_ih is not None:
        padding = _same(weight_ih) if rules.padding is None else rules.padding
        gates = gates + F.conv2d(x, weight_ih, padding=padding)
    i, f, g, o = gates.chunk(4, dim=1)  # each (B, hidden, H, W)

    if peepholes is not None:
        seen = c.detach() if rules.detach_peepholes else c
        i = i + peepholes.i * seen
        f = f + peepholes.f * seen
    i, f, g = sigma(i), sigma(f), torch.tanh(g)
    c = f * c + i * g
    if rules.cell_clip is not None:
        c = c.clamp(-rules.cell_clip, rules.cell_clip)
    if peepholes is not None:
        seen = c.detach() if rules.detach_peepholes else c
        o = o + peepholes.o * seen
    o = sigma(o)
    h = o * torch.tanh(c)
    return CellValues(i, f, g, o, c, h)


def _same(weight: Tensor) -> tuple[int, int]:
    """Zero padding that keeps the image size under an odd kernel."""
    return weight.shape[-2] // 2, weight.shape[-1] // 2
