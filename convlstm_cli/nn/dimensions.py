"""Convolutions over one, two or three spatial dimensions, and the sizes that they give.

Padding is "same", "valid" or one pair (before, after) for each dimension. "same" gives ceil(size / stride) positions,
as Keras and TensorFlow define it: where the padding is odd, as for an even kernel, the greater half comes after.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import check_choice

Pads = tuple[tuple[int, int], ...]
"""Zeros before and after each dimension."""
NamedPadding = Literal["same", "valid"]
Padding = NamedPadding | int | Sequence[int | tuple[int, int]]
"""What a layer takes: a name, or zeros on each side: of all dimensions, of each, or (before, after) of each."""

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
"""By the number of dimensions."""


class ConvolutionShape(NamedTuple):
    """What decides which size a convolution makes of which; all but the padding have a number for each dimension."""

    padding: NamedPadding | Pads
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    def zeros_around(self, size: tuple[int, ...]) -> Pads:
        """The padding of frames of this size, in zeros before and after each dimension."""
        if self.padding == "valid":
            return ((0, 0),) * len(self.kernel)
        if self.padding != "same":
            return self.padding
        pads = []
        for length, side, step, gap in zip(size, self.kernel, self.stride, self.dilation, strict=True):
            total = (side - 1) * gap
            if step > 1:
                total = max((-(-length // step) - 1) * step + total + 1 - length, 0)
            pads.append((total // 2, total - total // 2))
        return tuple(pads)

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """The size that frames of this size give; below 1 where they are smaller than the kernel."""
        if self.padding == "same":
            return tuple(-(-length // step) for length, step in zip(size, self.stride, strict=True))
        pads = self.zeros_around(size)
        return tuple(
            (length + before + after - (side - 1) * gap - 1) // step + 1
            for length, (before, after), side, step, gap in zip(
                size, pads, self.kernel, self.stride, self.dilation, strict=True
            )
        )

    def input_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """The least size of frames that give this size."""
        if self.padding == "same":
            return tuple((length - 1) * step + 1 for length, step in zip(size, self.stride, strict=True))
        pads = self.zeros_around(size)
        return tuple(
            (length - 1) * step + (side - 1) * gap + 1 - before - after
            for length, (before, after), side, step, gap in zip(
                size, pads, self.kernel, self.stride, self.dilation, strict=True
            )
        )

    def named_padding(self) -> NamedPadding | Pads:
        """The padding by its name, where its numbers mean the same at every size."""
        if isinstance(self.padding, str):
            return self.padding
        if not any(map(any, self.padding)):
            return "valid"
        same = self._replace(padding="same").zeros_around(self.kernel)
        return "same" if set(self.stride) == {1} and self.padding == same else self.padding


def convolve(
    frames: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    padding: NamedPadding | Pads = "same",
    stride: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
    groups: int = 1,
) -> Tensor:
    """The convolution of frames (B, in, *size) with a weight (out, in / groups, *kernel): (B, out, *output_size)."""
    kernel = tuple(int(side) for side in weight.shape[2:])  # numbers also while torch.jit traces
    stride, dilation = stride or (1,) * len(kernel), dilation or (1,) * len(kernel)
    pads = ConvolutionShape(padding, kernel, stride, dilation).zeros_around(tuple(frames.shape[2:]))
    around = tuple(before for before, _ in pads)
    if any(before != after for before, after in pads):
        frames = F.pad(frames, [zeros for pair in reversed(pads) for zeros in pair])
        around = (0,) * len(kernel)
    convolution = CONVOLUTIONS[len(kernel)]
    return convolution(frames, weight, bias, padding=around, stride=stride, dilation=dilation, groups=groups)


def per_dimension(name: str, value: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    """One number for each dimension. Raises UsageError that names `name` for a wrong count and for numbers below 1."""
    numbers = tuple(value) if isinstance(value, Sequence) else (value,) * dimensions
    if len(numbers) != dimensions or not all(isinstance(number, int) and number >= 1 for number in numbers):
        raise UsageError(f"{name} is {value!r}; give one whole number of at least 1, or {dimensions} of them.")
    return numbers


def read_padding(value: Padding, dimensions: int) -> NamedPadding | Pads:
    """A layer's padding. Raises UsageError that names `padding` for an unknown name, a wrong count or less than 0."""
    if isinstance(value, str):
        check_choice("padding", value, NamedPadding)
        return value
    sides: Sequence[Any] = (value,) * dimensions if isinstance(value, int) else value
    pads = tuple((side, side) if isinstance(side, int) else tuple(side) for side in sides)
    if len(pads) != dimensions or any(len(pair) != 2 or min(pair) < 0 for pair in pads):
        raise UsageError(
            f"padding is {value}; give 'same', 'valid', one number of at least 0, or for each of {dimensions} "
            "dimensions a number or a pair (before, after)."
        )
    return cast(Pads, pads)
