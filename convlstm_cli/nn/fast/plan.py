"""Which sequences are computed as one autograd function, in which types, memory order and pieces.

Left to the step-by-step loop are options that are not covered, devices without measurements, and whatever has to see
every operation: torch.compile, torch.export, functorch and forward-mode gradients.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, CellWeights
from convlstm_cli.nn.convolution import takes_winograd
from convlstm_cli.nn.kinds import GATE_ACTIVATION_KINDS
from convlstm_cli.nn.stepwise import State

BLOCK_BYTES = {"cpu": 8 << 20, "cuda": 64 << 20, "meta": 8 << 20}
"""Bytes of gates that a block of steps has, by the type of the device; other devices compute step by step. Meta stands
for the CPU: it computes nothing, and memory is counted on it."""
SMALL = 24 * 24
"""Positions up to which oneDNN's AVX2 convolutions gain more from reordering frames than the reordering costs."""


class Plan(NamedTuple):
    """How a sequence is computed."""

    steps: int
    shape: tuple[int, int, int, int]
    """(B, hidden, H, W) of the states."""
    dtype: torch.dtype
    """Type of convolutions, gates and hidden states."""
    c_dtype: torch.dtype
    """Type of the cell state and of the gate arithmetic: float32, or float64 where everything is."""
    channels_last: bool
    """Whether all channels of a position lie together in memory, or all positions of a channel."""
    recording: bool
    """Whether gradients are enabled: then the forward keeps what the backward of an input needs."""
    segment: int
    """Steps whose gates are kept for the backward at a time; the backward computes the other segments again."""
    block: int
    """Steps that one input convolution, and one sum of weight gradients, covers."""


def is_covered(weights: CellWeights, rules: CellRules) -> bool:
    """Whether `fast` computes these options: those of the paper and of most other systems, on images."""
    return (
        _is_odd(weights.weight_hh)
        and (weights.weight_ih is None or _is_odd(weights.weight_ih))
        and weights.norms is None
        and rules.padding in ("same", "valid")
        and rules.stride is None
        and rules.dilation is None
        and rules.activation == "tanh"
        and isinstance(rules.gate_activation, str)
        and rules.gate_activation in GATE_ACTIVATION_KINDS
        and rules.zoneout == (0.0, 0.0)
    )


def _is_odd(weight: Tensor) -> bool:
    """Whether a kernel over images has a centre."""
    return weight.ndim == 4 and weight.shape[2] % 2 == weight.shape[3] % 2 == 1


def make_plan(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    steps: int,
    shape: tuple[int, int, int, int],
    checkpoint_every: int | None,
) -> Plan | None:
    """The plan of a sequence whose options are covered; None where it has to be computed step by step all the same."""
    device, c_dtype = weights.weight_hh.device, weights.weight_hh.dtype
    mixed = device.type in ("cpu", "cuda") and torch.is_autocast_enabled(device.type) and c_dtype == torch.float32
    tensors = [t for t in (x, *(state or ()), *weights[:3], *(weights.peepholes or ())) if t is not None]
    if (
        device.type not in BLOCK_BYTES
        or c_dtype not in (torch.float32, torch.float64)
        or any(t.device != device or type(t) not in (Tensor, torch.nn.Parameter) for t in tensors)
        or any(t.dtype != c_dtype and not (mixed and t.is_floating_point()) for t in tensors)
        or 0 in shape
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    ):
        return None
    dtype = torch.get_autocast_dtype(device.type) if mixed else c_dtype
    last = _channels_last(weights.weight_hh, dtype, shape[2:])
    segment = min(checkpoint_every or steps, steps)
    block = block_steps(device.type, shape, dtype)
    return Plan(steps, shape, dtype, c_dtype, last, torch.is_grad_enabled(), segment, block)


def block_steps(device: str, shape: tuple[int, int, int, int], dtype: torch.dtype) -> int:
    """`Plan.block` for states (B, hidden, H, W) with gates of this type on this type of device."""
    return max(1, BLOCK_BYTES[device] // (4 * math.prod(shape) * dtype.itemsize))


def _channels_last(weight: Tensor, dtype: torch.dtype, size: tuple[int, int]) -> bool:
    """Whether convolutions are faster with channels last; `scripts/benchmark_speed.py --convolutions` measures it."""
    if weight.device.type == "cuda":
        return dtype != torch.float64
    # The CPU, and meta, which stands for it.
    if dtype == torch.float64 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if takes_winograd(weight, (weight.shape[2] // 2, weight.shape[3] // 2), dtype, size):
        return True
    wide = torch.backends.cpu.get_cpu_capability() != "AVX2"
    return wide or dtype != torch.float32 or size[0] * size[1] > SMALL
