"""Counts what a training step of layers launches, moves and keeps on a GPU, on a machine without one.

torch computes the step on its meta device, where tensors have shapes and nothing in them, and each operation is taken
for one pass that reads its inputs and writes its results. Convolutions count apart: they cost what they cost in every
system. What torch reorders before it calls cuDNN is known from ATen (native/cudnn/ConvShared.cpp) and counts as passes;
what cuDNN reorders inside is not known. So these are counts, and not times.

    python -m gpu_check.traffic
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convlstm_cli.compute.meta import Allocated
from convlstm_cli.nn import gates, layer, recurrence
from convlstm_cli.nn.fast.plan import Plan, block_steps
from convlstm_cli.nn.gates import Sums
from gpu_check.layers import SHAPES, OurLayer, PlainLayer, Shape, network

aten = torch.ops.aten
FORWARD, BACKWARD = aten.convolution.default, aten.convolution_backward.default
OVERWRITES = {aten.copy_.default, aten.zero_.default, aten.fill_.Scalar, aten.fill_.Tensor}
"""Operations that do not read the tensor that they change."""
FREE = {"empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "detach", "lift_fresh", "alias"}
"""Operations that move nothing."""


@dataclass
class Counts:
    """What was launched and moved."""

    convolutions: int = 0
    passes: int = 0
    """Launches beside convolutions."""
    moved: int = 0
    """Bytes that these read and write."""
    reordered: int = 0
    """Those of them that are moved before and after convolutions, into another memory order."""

    def add(self, *tensors: Tensor) -> None:
        """One launch that reads or writes these."""
        self.passes += 1
        self.moved += sum(map(_bytes, tensors))

    def reorder(self, tensor: Tensor) -> None:
        """One launch that copies a tensor into another order."""
        self.add(tensor, tensor)
        self.reordered += 2 * _bytes(tensor)


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations in a block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = Counts()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is FORWARD:
            frames, weight, bias = args[:3]
            result = self._forward(frames, weight, bias, result)
        elif func is BACKWARD:
            gradient, frames, weight = args[:3]
            result = self._backward(gradient, frames, weight, result)
        elif not func.is_view and func.__name__.split(".")[0] not in FREE:
            given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
            results = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
            self.counts.add(*(given[1:] if func in OVERWRITES else given), *results)
        return result

    def _forward(self, frames: Tensor, weight: Tensor, bias: Tensor | None, result: Tensor) -> Tensor:
        """The result, in the order that it has on a GPU."""
        self.counts.convolutions += 1
        last = _is_last(frames) or _is_last(weight)
        if not _lies(frames, last):
            self.counts.reorder(frames)
        if bias is not None:  # torch adds it afterwards
            self.counts.add(result, result)
        return _ordered(result, last)

    def _backward(self, gradient: Tensor, frames: Tensor, weight: Tensor, results: Any) -> Any:
        """The results, of which the gradient to the frames gets the order that it has on a GPU."""
        self.counts.convolutions += 1
        last = _is_last(frames)
        if not _lies(gradient, last):
            self.counts.reorder(gradient)
        to_frames, *others = results
        if to_frames is None:
            return results
        if not last and _is_last(weight):  # for the gradient to the frames the weight decides
            self.counts.reorder(gradient)
        return _ordered(to_frames, last or _is_last(weight)), *others


class CountedGates:
    """Stands for `TritonGates`: computes nothing, and counts one launch that reads and writes what is given."""

    fuses = True

    def __init__(self, counts: Counts, like: Tensor) -> None:
        self._counts, self._like = counts, like

    def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, *, keep: bool, **added: Any) -> None:
        self._counts.add(gates, c_before, c, h, *([gates] if keep else []), *filter(_is_tensor, added.values()))

    def backward(
        self, gates: Tensor, c_before: Tensor, c: Tensor, grad_h: tuple[Tensor, Tensor], grad_c: Tensor, out: Tensor
    ) -> None:
        self._counts.add(gates, c_before, c, *grad_h, grad_c, grad_c, out)

    def sums(self) -> Sums:
        return Sums(self._like.new_empty(4 * self._like.shape[1]), None)


class Row(NamedTuple):
    """What a training step of a system takes."""

    counts: Counts
    kept: int
    """Bytes that are there between the two passes: the outputs, and what is kept for the backward pass."""
    peak: int
    """Most bytes that there are at once."""


def measure(kind: type[PlainLayer] | type[OurLayer], shape: Shape, dtype: torch.dtype) -> Row:
    """A training step as `layers.py` times it, with gradients to the weights only."""
    device = torch.device("meta")
    model = network(kind, shape, device)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.forward = _as_autocast(module, dtype)  # type: ignore[assignment,method-assign]
    x = torch.empty(shape.batch, shape.steps, shape.channels, shape.side, shape.side, device=device)
    with Allocated() as allocated, Counting() as counting, _as_on_a_gpu(counting.counts, dtype):
        outputs = model(x)
        kept = allocated.now
        outputs.backward(torch.ones_like(outputs))
    return Row(counting.counts, kept, allocated.peak)


@contextlib.contextmanager
def _as_on_a_gpu(counts: Counts, dtype: torch.dtype) -> Iterator[None]:
    """Layers are computed as on CUDA, although tensors are on the meta device and there is no Triton."""

    def plan(_x: Any, _state: Any, _weights: Any, steps: int, shape: Any, _every: Any) -> Plan:
        block = block_steps("cuda", shape, dtype)
        return Plan(steps, shape, dtype, torch.float32, channels_last=True, recording=True, segment=steps, block=block)

    def choose(_peepholes: Any, _rules: Any, _dtype: Any, c: Tensor, *, channels_last: bool) -> CountedGates:
        assert channels_last
        return CountedGates(counts, c)

    with (
        mock.patch.object(recurrence, "make_plan", plan),
        mock.patch.object(gates, "choose", choose),
        mock.patch.object(layer, "check_type"),  # the meta device has no autocast, which brings types to one
    ):
        yield


def _as_autocast(conv: nn.Conv2d, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """What autocast makes of a convolution; it does not know the meta device."""

    def forward(x: Tensor) -> Tensor:
        weight, bias = conv.weight.to(dtype), None if conv.bias is None else conv.bias.to(dtype)
        return F.conv2d(x.to(dtype), weight, bias, padding=conv.padding)

    return forward


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _bytes(tensor: Tensor) -> int:
    """Bytes in memory; an expanded axis has one place."""
    sizes = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    return math.prod(sizes) * tensor.element_size()


def _is_last(tensor: Tensor) -> bool:
    """Whether torch takes (N, C, H, W) for channels last, by its strides alone (c10/core/MemoryFormat.h)."""
    least = 0
    for axis in (1, 3, 2, 0):
        size, stride = tensor.shape[axis], tensor.stride(axis)
        if stride == 0 or stride < least or (axis == 0 and least == tensor.stride(1)):
            return False
        least = stride * max(size, 1)
    return True


def _lies(tensor: Tensor, last: bool) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def _ordered(result: Tensor, last: bool) -> Tensor:
    """A result of a convolution, which holds nothing, in one of the two orders."""
    _, channels, height, width = result.shape
    within = (1, width * channels, channels) if last else (height * width, width, 1)
    return result.as_strided(result.shape, (channels * height * width, *within))


def main() -> None:
    """Prints a table of all shapes."""
    heads = ("shape", "type", "system", "launches", "of them conv.", "GB moved", "reordered", "GB kept", "GB at most")
    line = "{:<30} {:<9} {:<7} {:>9} {:>14} {:>9} {:>10} {:>8} {:>11}"
    print(line.format(*heads))
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            for name, kind in (("plain", PlainLayer), ("ours", OurLayer)):
                counts, kept, peak = measure(kind, shape, dtype)
                sizes = (counts.moved, counts.reordered, kept, peak)
                cells = (counts.passes + counts.convolutions, counts.convolutions, *(f"{n / 1e9:.2f}" for n in sizes))
                print(line.format(shape.name, str(dtype).removeprefix("torch."), name, *cells))


if __name__ == "__main__":
    main()
