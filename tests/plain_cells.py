"""The cells of other systems a second time, each in its own layout and order of gates, one gate after the other.

Written from the equations and layouts that their sources state, and independent of convlstm_cli: the tests of
`nn/interop` run weights through these and through ours. All read float tensors and return outputs and last states.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Outputs = tuple[Tensor, Tensor, Tensor]
"""The outputs of all steps, the last hidden state and the last cell state."""

CONVOLUTIONS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "tanh": lambda z: 2 / (1 + (-2 * z).exp()) - 1,
    "relu": lambda z: z * (z > 0),
    "linear": lambda z: z,
    "elu": lambda z: z.clamp(min=0) + z.clamp(max=0).exp() - 1,
    "softsign": lambda z: z / (1 + z.abs()),
    "hard_sigmoid_2": lambda z: (0.2 * z + 0.5).clamp(0, 1),
    "hard_sigmoid_3": lambda z: (z / 6 + 0.5).clamp(0, 1),
}


def keras_convolution(
    x: Tensor, kernel: Tensor, strides: Sequence[int], dilation: Sequence[int], padding: str
) -> Tensor:
    """A convolution of (B, ..., in) with (..., in, out) as Keras has it: "same" puts the odd cell after the image."""
    sides = kernel.ndim - 2
    pads: list[int] = []
    for axis in reversed(range(sides)):
        size, reach = x.shape[1 + axis], (kernel.shape[axis] - 1) * dilation[axis] + 1
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0) if padding == "same" else 0
        pads += [total // 2, total - total // 2]
    convolve = CONVOLUTIONS[sides - 1]
    turned = kernel.permute(sides + 1, sides, *range(sides))
    padded = F.pad(x.movedim(-1, 1), pads)
    return convolve(padded, turned, stride=tuple(strides[:sides]), dilation=tuple(dilation[:sides])).movedim(1, -1)


def keras(
    arrays: Sequence[Tensor],
    x: Tensor,
    state: tuple[Tensor, Tensor] | None = None,
    *,
    padding: str = "same",
    strides: Sequence[int] = (1, 1, 1),
    dilation_rate: Sequence[int] = (1, 1, 1),
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    go_backwards: bool = False,
) -> Outputs:
    """ConvLSTM1D, 2D or 3D over x (B, T, ..., in); kernels (..., in, 4F) and (..., F, 4F), gates i, f, c, o."""
    kernel, recurrent, *bias = arrays
    kernels, recurrents = kernel.chunk(4, dim=-1), recurrent.chunk(4, dim=-1)
    biases = bias[0].chunk(4) if bias else (torch.zeros((), dtype=kernel.dtype),) * 4
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    ones = (1, 1, 1)
    outputs = []
    h, c = state if state is not None else (None, None)
    for x_t in reversed(x.unbind(1)) if go_backwards else x.unbind(1):
        i, f, g, o = (
            keras_convolution(x_t, weight, strides, dilation_rate, padding) + b
            for weight, b in zip(kernels, biases, strict=True)
        )
        if h is not None:
            i, f, g, o = (
                z + keras_convolution(h, weight, ones, ones, "same")
                for z, weight in zip((i, f, g, o), recurrents, strict=True)
            )
        c = gate(i) * act(g) + (0 if c is None else gate(f) * c)
        h = gate(o) * act(c)
        outputs.append(h)
    assert h is not None
    assert c is not None
    return torch.stack(outputs, dim=1), h, c


def peephole_lstm(arrays: Sequence[Tensor], x: Tensor, recurrent_activation: str) -> Outputs:
    """PeepholeLSTMCell over x (B, T, in); kernels (in, 4F) and (F, 4F), gates i, f, c, o, three peepholes (F,)."""
    kernel, recurrent, bias, peep_i, peep_f, peep_o = arrays
    gate = ACTIVATIONS[recurrent_activation]
    h = c = x.new_zeros(x.shape[0], recurrent.shape[0])
    outputs = []
    for x_t in x.unbind(1):
        i, f, g, o = (x_t @ kernel + h @ recurrent + bias).chunk(4, dim=1)
        c = gate(f + peep_f * c) * c + gate(i + peep_i * c) * g.tanh()
        h = gate(o + peep_o * c) * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1), h, c


def tensorflow1(
    variables: Mapping[str, Tensor], x: Tensor, *, forget_bias: float, cell_clip: float | None = None
) -> Outputs:
    """LSTMCell of TensorFlow v1 over x (B, T, in); kernel (in + F, 4F), gates i, j, f, o."""
    hidden = variables["bias"].numel() // 4
    zero = x.new_zeros(hidden)
    peep_i, peep_f, peep_o = (variables.get(f"w_{gate}_diag", zero) for gate in "ifo")
    h = c = x.new_zeros(x.shape[0], hidden)
    outputs = []
    for x_t in x.unbind(1):
        i, j, f, o = (torch.cat([x_t, h], dim=1) @ variables["kernel"] + variables["bias"]).chunk(4, dim=1)
        c = (f + forget_bias + peep_f * c).sigmoid() * c + (i + peep_i * c).sigmoid() * j.tanh()
        if cell_clip is not None:
            c = c.clamp(-cell_clip, cell_clip)
        h = (o + peep_o * c).sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1), h, c


def ndrplz(state_dict: Mapping[str, Tensor], x: Tensor) -> Outputs:
    """ConvLSTM of ndrplz over x (B, T, in, H, W): one convolution over x and h, gates i, f, o, g, zero states."""
    for index in range(sum(key.endswith("conv.weight") for key in state_dict)):
        weight = state_dict[f"cell_list.{index}.conv.weight"]
        bias = state_dict.get(f"cell_list.{index}.conv.bias")
        h = c = x.new_zeros(x.shape[0], weight.shape[0] // 4, *x.shape[-2:])
        outputs = []
        for x_t in x.unbind(1):
            padding = (weight.shape[2] // 2, weight.shape[3] // 2)
            i, f, o, g = F.conv2d(torch.cat([x_t, h], dim=1), weight, bias, padding=padding).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x, h, c


def openstl(state_dict: Mapping[str, Tensor], x: Tensor, prefix: str = "") -> Outputs:
    """ConvLSTMCell of OpenSTL over x (B, T, in, H, W): no biases, and with layer_norm one norm per convolution.

    `conv_x.0`, `conv_h.0` are the convolutions, `conv_x.1`, `conv_h.1` the norms over (4F, H, W); gates i, f, g, o.
    """

    def convolved(part: str, image: Tensor) -> Tensor:
        weight = state_dict[f"{prefix}conv_{part}.0.weight"]
        z = F.conv2d(image, weight, padding=weight.shape[-1] // 2)
        scale = state_dict.get(f"{prefix}conv_{part}.1.weight")
        if scale is None:
            return z
        mean = z.mean((1, 2, 3), keepdim=True)
        variance = ((z - mean) ** 2).mean((1, 2, 3), keepdim=True)
        normal: Tensor = (z - mean) / (variance + 1e-5).sqrt()
        return normal * scale + state_dict[f"{prefix}conv_{part}.1.bias"]

    hidden = state_dict[f"{prefix}conv_h.0.weight"].shape[1]
    h = c = x.new_zeros(x.shape[0], hidden, *x.shape[-2:])
    outputs = []
    for x_t in x.unbind(1):
        i, f, g, o = (convolved("x", x_t) + convolved("h", h)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1), h, c
