"""A ConvLSTM layer with every option a second time: gate by gate, step by step, item by item, from the definitions.

Written without the package and without torch's convolutions: a convolution is a sum over the places of its kernel.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "tanh": lambda z: 2 / (1 + (-2 * z).exp()) - 1,
    "relu": lambda z: z * (z > 0),
    "softsign": lambda z: z / (1 + z.abs()),
    "hard_sigmoid_keras2": lambda z: (0.2 * z + 0.5).clamp(0, 1),
}


@dataclass
class Plain:
    """Weights, by the names of the layer's state dict, and options."""

    weights: dict[str, Tensor]
    hidden: int
    padding: str | tuple[tuple[int, int], ...] = "same"
    stride: Sequence[int] = (1, 1, 1)
    dilation: Sequence[int] = (1, 1, 1)
    activation: str = "tanh"
    gate_activation: str = "sigmoid"
    cell_clip: float = math.inf
    zoneout: tuple[float, float] = (0.0, 0.0)
    masks: dict[str, Tensor] = field(default_factory=dict)
    """Dropout of `x` and `h`, (4 * channels, *size), of the one item."""

    def run(
        self, x: Tensor, state: tuple[Tensor | None, Tensor | None] = (None, None), mask: Sequence[bool] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One item x (T, in, *size), with the state (hidden, *size): outputs, h and c, as Keras has masked steps."""
        h, c = state
        shown, outputs = None, []
        for t, x_t in enumerate(x):
            zeros = torch.zeros_like(self._from_input(x_t)[0])
            h, c = (zeros if h is None else h), (zeros if c is None else c)
            shown = zeros if shown is None else shown
            if mask is None or mask[t]:
                h, c = self._step(x_t, h, c)
                shown = h
            outputs.append(shown)
        assert h is not None
        assert c is not None
        return torch.stack(outputs), h, c

    def _step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        sigma, squash = ACTIVATIONS[self.gate_activation], ACTIVATIONS[self.activation]
        from_x, from_h = self._from_input(x), self._gates("h", h, "same", (1, 1, 1), (1, 1, 1))
        biases = self.weights.get("bias", torch.zeros(4 * self.hidden)).view(4, -1, *(1,) * (h.ndim - 1))
        i, f, g, o = (a + b + bias for a, b, bias in zip(from_x, from_h, biases, strict=True))
        w_i, w_f, w_o = (self.weights.get(f"peephole_{gate}", torch.zeros(())) for gate in "ifo")
        new = sigma(f + w_f * c) * c + sigma(i + w_i * c) * squash(g)
        new = new.clamp(-self.cell_clip, self.cell_clip)
        out = sigma(o + w_o * new) * squash(new)
        stay_h, stay_c = self.zoneout
        return stay_h * h + (1 - stay_h) * out, stay_c * c + (1 - stay_c) * new

    def _from_input(self, x: Tensor) -> list[Tensor]:
        return self._gates("x", x, self.padding, self.stride, self.dilation)

    def _gates(
        self, part: str, frame: Tensor, padding: Any, stride: Sequence[int], dilation: Sequence[int]
    ) -> list[Tensor]:
        """What the gates i, f, g and o get from x or from h."""
        name = {"x": "ih", "h": "hh"}[part]
        seen = [frame] * 4
        if part in self.masks:
            seen = [frame * mask for mask in self.masks[part].chunk(4)]
        kernels = self.weights[f"weight_{name}"].chunk(4)
        gates = torch.cat([convolved(s, k, padding, stride, dilation) for s, k in zip(seen, kernels, strict=True)])
        if f"norm_{name}.weight" in self.weights:
            mean = gates.mean()
            variance = ((gates - mean) ** 2).mean()
            scale, shift = self.weights[f"norm_{name}.weight"], self.weights[f"norm_{name}.bias"]
            gates = (gates - mean) / (variance + 1e-5).sqrt() * scale + shift
        return list(gates.chunk(4))


def convolved(frame: Tensor, kernel: Tensor, padding: Any, stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """(in, *size) with (out, in, *k): the sum over the places of the kernel, each a product at all positions."""
    sides = kernel.shape[2:]
    around, counts = [], []
    for axis, (length, side) in enumerate(zip(frame.shape[1:], sides, strict=True)):
        reach = (side - 1) * dilation[axis] + 1
        before, after = (0, 0) if isinstance(padding, str) else padding[axis]
        if padding == "same":
            total = max((math.ceil(length / stride[axis]) - 1) * stride[axis] + reach - length, 0)
            before, after = total // 2, total - total // 2
        around.append((before, after))
        counts.append((length + before + after - reach) // stride[axis] + 1)
    padded = F.pad(frame, [zeros for pair in reversed(around) for zeros in pair])
    out = torch.zeros(kernel.shape[0], *counts, dtype=frame.dtype)
    for at, offset in enumerate(itertools.product(*map(range, sides))):
        window = padded
        for axis, (place, count) in enumerate(zip(offset, counts, strict=True)):
            positions = torch.arange(count) * stride[axis] + place * dilation[axis]
            window = window.index_select(axis + 1, positions)
        out = out + torch.tensordot(kernel.flatten(2)[:, :, at], window, dims=1)
    return out
