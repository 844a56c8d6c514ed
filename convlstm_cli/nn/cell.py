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

Every option changes these lines in one place of `cell_values` below:

    bias=False         b_i, b_f, b_g and b_o are left out
    stride, dilation   W_x * x_t steps by `stride` and spreads its kernel by `dilation`; W_h * h_{t-1} never does
    layer_norm         LN(W_x * x_t) and LN(W_h * h_{t-1}), each over all gates, channels and positions
    dropout            gate n sees x_t ∘ m_n, with masks m that are the same for all steps (Gal and Ghahramani 2016)
    recurrent_dropout  gate n sees h_{t-1} ∘ m_n, with masks of its own
    activation         instead of both tanh
    gate_activation    instead of σ
    cell_clip          c_t is bounded before the output gate sees it
    zoneout            h_t and c_t keep some of their old values, after everything else (Krueger et al. 2017)
    lengths, mask      a step that is masked leaves h and c as they were
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.activations import Activation, function
from convlstm_cli.nn.dimensions import NamedPadding, Pads, convolve
from convlstm_cli.nn.kinds import Peephole


class Peepholes(NamedTuple):
    """W_ci, W_cf and W_co, each (hidden, 1, 1): one weight per channel, or (hidden, H, W): `full`."""

    i: Tensor
    f: Tensor
    o: Tensor


class Norm(NamedTuple):
    """Scale and shift of a layer normalisation (Ba et al. 2016), each (4*hidden, H, W)."""

    weight: Tensor
    bias: Tensor


class Norms(NamedTuple):
    """The layer normalisations of OpenSTL's ConvLSTM cell."""

    ih: Norm | None
    """None for a cell without input."""
    hh: Norm


class CellWeights(NamedTuple):
    """All weights of one layer; the four gates are stacked i, f, g, o along the first axis.

    Shapes are those of two dimensions; with one or three there are as many axes after the channels, here and below.
    """

    weight_ih: Tensor | None
    """(4*hidden, in, k, k); None for a cell without input."""
    weight_hh: Tensor
    """(4*hidden, hidden, r, r)"""
    bias: Tensor | None
    """(4*hidden,)"""
    peepholes: Peepholes | None
    """None makes the cell Keras' ConvLSTM2D."""
    norms: Norms | None = None


class CellRules(NamedTuple):
    """What defines a cell beside its weights; the defaults are those of the paper."""

    gate_activation: Activation = "sigmoid"
    """σ of the gates i, f and o."""
    padding: NamedPadding | Pads = "same"
    """Zeros around the input; "same" is what the hidden state has always."""
    cell_clip: float | None = None
    """Bound of |c_t|, applied before the output gate sees it, as in TensorFlow v1's LSTMCell."""
    detach_peepholes: bool = False
    """Gers' rule: no gradient flows from the gates through the peepholes into the cell state."""
    peephole: Peephole = "channel"
    """Kind of the peepholes, if the weights have any; read by kernels. The equations take any shape that broadcasts."""
    activation: Activation = "tanh"
    """The function of the candidate, and of c_t on its way to h_t."""
    stride: tuple[int, ...] | None = None
    """Step of the input convolution in each dimension; None is 1."""
    dilation: tuple[int, ...] | None = None
    """Spread of the input convolution's kernel in each dimension; None is 1."""
    zoneout: tuple[float, float] = (0.0, 0.0)
    """Parts of h and of c that keep their old values: in training a draw (`StepMasks.stay`), else their expectation."""


PAPER = CellRules()


class StepMasks(NamedTuple):
    """What one time step leaves out."""

    x: Tensor | None = None
    """(B, 4*in, H, W), for the gates i, f, g, o: 0 where x is dropped, else 1 / (1 - rate)."""
    h: Tensor | None = None
    """(B, 4*hidden, H, W), the same for h."""
    stay: tuple[Tensor, Tensor] | None = None
    """For h and for c, each (B, hidden, H, W): 1 where zoneout keeps the old value, else 0."""
    valid: Tensor | None = None
    """(B, 1, 1, 1): false where the step leaves the states as they were."""


NO_MASKS = StepMasks()


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
    x: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: CellWeights,
    rules: CellRules = PAPER,
    masks: StepMasks = NO_MASKS,
) -> tuple[Tensor, Tensor]:
    """One time step: (x_t, h_{t-1}, c_{t-1}) to (h_t, c_t).

    Args:
        x: (B, in, H, W), or None for a cell without input.
        h, c: (B, hidden, H, W).
        weights: the trained values.
        rules: what else defines the cell; those of the paper if not given.
        masks: what this step leaves out; nothing if not given.

    Returns:
        h_t in (-1, 1) and c_t, both (B, hidden, H, W).
    """
    values = cell_values(x, h, c, weights, rules, masks)
    return values.h, values.c


def cell_values(
    x: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: CellWeights,
    rules: CellRules = PAPER,
    masks: StepMasks = NO_MASKS,
) -> CellValues:
    """One time step with all its gates: (x_t, h_{t-1}, c_{t-1}) to (i, f, g, o, c, h)_t; arguments of `cell_step`."""
    sigma, squash = function(rules.gate_activation), function(rules.activation)
    peepholes = weights.peepholes
    h_before, c_before = h, c

    gates = _before_activation(x, h, weights, rules, masks)
    i, f, g, o = gates.chunk(4, dim=1)  # each (B, hidden, H, W)
    if peepholes is not None:
        seen = c.detach() if rules.detach_peepholes else c
        i = i + peepholes.i * seen
        f = f + peepholes.f * seen
    i, f, g = sigma(i), sigma(f), squash(g)
    c = f * c + i * g
    if rules.cell_clip is not None:
        c = c.clamp(-rules.cell_clip, rules.cell_clip)
    if peepholes is not None:
        seen = c.detach() if rules.detach_peepholes else c
        o = o + peepholes.o * seen
    o = sigma(o)
    h = o * squash(c)

    if masks.stay is not None or any(rules.zoneout):
        stay_h, stay_c = rules.zoneout if masks.stay is None else masks.stay
        h = stay_h * h_before + (1.0 - stay_h) * h
        c = stay_c * c_before + (1.0 - stay_c) * c
    if masks.valid is not None:
        h = torch.where(masks.valid, h, h_before)
        c = torch.where(masks.valid, c, c_before)
    return CellValues(i, f, g, o, c, h)


def _before_activation(x: Tensor | None, h: Tensor, weights: CellWeights, rules: CellRules, masks: StepMasks) -> Tensor:
    """W_x * x_t + W_h * h_{t-1} + b of the four gates, (B, 4*hidden, H, W)."""
    weight_ih, weight_hh, bias, _, norms = weights
    h, groups = _dropped(h, masks.h)
    if norms is None:
        gates = convolve(h, weight_hh, bias, groups=groups)
    else:
        gates = _normalised(convolve(h, weight_hh, groups=groups), norms.hh)
        if bias is not None:
            gates = gates + bias.view(-1, *(1,) * (h.ndim - 2))
    if x is None or weight_ih is None:
        return gates
    x, groups = _dropped(x, masks.x)
    from_x = convolve(x, weight_ih, padding=rules.padding, stride=rules.stride, dilation=rules.dilation, groups=groups)
    if norms is not None and norms.ih is not None:
        from_x = _normalised(from_x, norms.ih)
    return gates + from_x


def _dropped(frames: Tensor, mask: Tensor | None) -> tuple[Tensor, int]:
    """What the gates see of (B, channels, H, W), and in how many groups: one copy for each gate under a mask."""
    if mask is None:
        return frames, 1
    return torch.cat([frames] * 4, dim=1) * mask, 4


def _normalised(gates: Tensor, norm: Norm) -> Tensor:
    return F.layer_norm(gates, norm.weight.shape, norm.weight, norm.bias)
