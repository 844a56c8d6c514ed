"""Whether what a caller gives fits a `ConvLSTM`: the messages for what does not. Shapes are those of two dimensions."""

from typing import Protocol

import torch
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.autocast import is_enabled
from convlstm_cli.nn.dropout import GATES, DropoutMasks
from convlstm_cli.nn.kinds import PEEPHOLES, Peephole
from convlstm_cli.nn.sequences import Call, PartialState


class Layer(Protocol):
    """What is read of a layer."""

    in_channels: int
    hidden_channels: int
    kernel_size: tuple[int, ...]
    image_size: tuple[int, ...] | None
    dimensions: int
    peephole: Peephole

    def state_size(self, *size: int) -> tuple[int, ...]: ...


def count_steps(layer: Layer, call: Call, steps: int | None) -> int:
    """The number of time steps."""
    if call.x is None:
        if layer.in_channels:
            raise UsageError(f"x is None, but this ConvLSTM reads {layer.in_channels} input channels.")
        if call.state is None or steps is None:
            raise UsageError("a ConvLSTM without input needs a state and the number of steps.")
    else:
        if call.x.ndim != layer.dimensions + 3 or call.x.shape[2] != layer.in_channels:
            raise UsageError(f"x has shape {call.given}; expected {call.layout.shape(layer.in_channels)}.")
        if not layer.in_channels:
            raise UsageError("this ConvLSTM reads no input; call it with x=None, a state and steps.")
        if steps is not None:
            raise UsageError("steps goes with x=None; with an input the sequence has the input's length.")
        steps = call.x.shape[1]
    if not steps:
        raise UsageError("a sequence needs at least one time step.")
    return steps


def state_shape(layer: Layer, x: Tensor | None, state: PartialState | None) -> tuple[int, ...]:
    """(B, hidden, H, W) of the states, for x (B, T, in, H, W), whose shape is known to fit."""
    needed = None
    if x is not None:
        needed = (x.shape[0], layer.hidden_channels, *layer.state_size(*x.shape[3:]))
    parts = [tuple(part.shape) for part in state or () if part is not None]
    for part in parts:
        if len(part) != layer.dimensions + 2 or part[1] != layer.hidden_channels or part != parts[0]:
            raise UsageError(
                f"the state has shapes {' and '.join(map(str, parts))}; "
                f"expected twice (B, {layer.hidden_channels}, H, W)."
            )
        if needed is not None and part != needed:
            raise UsageError(f"the state has shape {part}; this input needs {needed}.")
    shape = parts[0] if needed is None else needed
    _check_size(layer, shape[2:])
    return shape


def check_type(name: str, given: Tensor | None, weight: Tensor) -> None:
    """Raises UsageError for a tensor of another type than the weights, unless autocast brings both to one."""
    if given is not None and given.dtype != weight.dtype and not is_enabled(given.device):
        raise UsageError(
            f"{name} has the type {given.dtype} and the weights have {weight.dtype}; give {name}.to({weight.dtype})."
        )


def check_mask(mask: Tensor, batch: int, steps: int) -> None:
    """Raises UsageError unless the mask of time steps is (B, T) bool."""
    if mask.dtype != torch.bool or mask.shape != (batch, steps):
        raise UsageError(
            f"mask has shape {tuple(mask.shape)} and type {mask.dtype}; expected {(batch, steps)}, torch.bool."
        )


def check_dropout_masks(masks: DropoutMasks, x: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raises UsageError for masks that do not fit x (B, T, in, H, W) and states (B, hidden, H, W) of `shape`."""
    from_x = None if x is None else (x.shape[0], GATES * x.shape[2], *x.shape[3:])
    for name, mask, expected in (("x", masks[0], from_x), ("h", masks[1], (shape[0], GATES * shape[1], *shape[2:]))):
        if mask is not None and mask.shape != expected:
            raise UsageError(f"dropout_masks.{name} has shape {tuple(mask.shape)}; expected {expected}.")


def _check_size(layer: Layer, size: tuple[int, ...]) -> None:
    if min(size) < 1:
        raise UsageError(f"the input is smaller than the kernel {layer.kernel_size}; padding='same' keeps its size.")
    if layer.image_size is not None and size != layer.image_size:
        made, found = "x".join(map(str, layer.image_size)), "x".join(map(str, size))
        fixed, way_out = "layer normalisations", "only that size fits."
        if PEEPHOLES[layer.peephole].fixes_size:
            fixed, way_out = f"{layer.peephole} peepholes", "peephole='channel' works at any size."
        raise UsageError(f"these {fixed} were made for {made} and the state is {found}; {way_out}")
