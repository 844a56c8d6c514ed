"""The convolutions of h with many channels and of x with few, summed, as one.

A convolution of x alone reads and writes all gates once more, and its gradient to the weights takes as long as that of
many more channels. `join` says whether x is convolved with h, and how: by Winograd's tiles on a CPU, and by the
library, from h and x one behind the other, on an NVIDIA GPU.
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import winograd
from convlstm_cli.nn.convolution import FEW, Convolution, takes_winograd

MOST_IN_TILES = 4
"""Up to so many channels, x is transformed and multiplied with h, in the rest of a vector."""
ALIGNED = 16
"""Bytes of which the channels of a position are a multiple, so that a GPU's matrix units read them (cuDNN)."""


class Joined(Protocol):
    """One convolution of h and x."""

    def with_room(self, x: Tensor) -> Tensor:
        """A copy of x (T, B, in, H, W) in the form that the other methods take."""

    def output(self, h: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution, (N, out, H, W), of h (N, hidden, H, W) and x (N, in, H, W) from `with_room`."""

    def add_weight_gradient(self, gradient: Tensor, h: Tensor, x: Tensor) -> None:
        """Adds the contribution of these frames, with the gradient to their output, to `weight_gradients`."""

    def weight_gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """The sums so far, (out, hidden, k, k) and (out, in, k, k); None if nothing was added."""


class InTiles:
    """By one product of Winograd's tiles, in which x fills vectors and rows that are there for h."""

    def __init__(self, weight_hh: Tensor, weight_ih: Tensor) -> None:
        self._x = weight_ih.shape[1]
        self._transformed = winograd.WinogradWeights(torch.cat((weight_hh, weight_ih), dim=1).detach(), self._x)
        self._sums: Tensor | None = None

    def with_room(self, x: Tensor) -> Tensor:
        return winograd.with_room(x)

    def output(self, h: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
        return self._transformed.output(h, bias, x)

    def add_weight_gradient(self, gradient: Tensor, h: Tensor, x: Tensor) -> None:
        if self._sums is None:
            self._sums = self._transformed.new_sums()
        self._transformed.add_weight_gradient(self._sums, h, gradient, x)

    def weight_gradients(self) -> tuple[Tensor | None, Tensor | None]:
        if self._sums is None:
            return None, None
        both = self._transformed.weight_gradient(self._sums)
        return both[:, : -self._x], both[:, -self._x :]


class Concatenated:
    """By one convolution of the library over the channels of h and then those of x, filled up with zeros."""

    def __init__(
        self,
        weight_hh: Tensor,
        weight_ih: Tensor,
        padding: tuple[int, int],
        dtype: torch.dtype,
        size: tuple[int, int],
    ) -> None:
        self._dtype = dtype
        self._hidden, self._x = weight_hh.shape[1], weight_ih.shape[1]
        self._filled = -(-self._x * dtype.itemsize // ALIGNED) * ALIGNED // dtype.itemsize
        filled = F.pad(weight_ih.detach(), (0, 0, 0, 0, 0, self._filled - self._x))
        both = torch.cat((weight_hh.detach(), filled), dim=1)
        self._convolution = Convolution(both, padding, dtype, size, channels_last=True)

    def with_room(self, x: Tensor) -> Tensor:
        ordered = x.detach().movedim(-3, -1)
        memory = ordered.new_zeros(*ordered.shape[:-1], self._filled, dtype=self._dtype)
        return memory[..., : self._x].copy_(ordered).movedim(-1, -3)

    def output(self, h: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
        return self._convolution.output(self._both(h, x), bias)

    def add_weight_gradient(self, gradient: Tensor, h: Tensor, x: Tensor) -> None:
        self._convolution.add_weight_gradient(gradient, self._both(h, x))

    def weight_gradients(self) -> tuple[Tensor | None, Tensor | None]:
        both = self._convolution.weight_gradient()
        if both is None:
            return None, None
        return both[:, : self._hidden], both[:, self._hidden : self._hidden + self._x]

    def _both(self, h: Tensor, x: Tensor) -> Tensor:
        (n, _, height, width), across = x.shape, self._filled
        strides = height * width * across, 1, width * across, across
        filled = x.as_strided((n, across, height, width), strides)
        return torch.cat((h, filled), dim=1)


def _in_tiles(
    weight_hh: Tensor, weight_ih: Tensor, padding: tuple[int, int], dtype: torch.dtype, size: tuple[int, int]
) -> InTiles | None:
    few, many = weight_ih.shape[1] <= MOST_IN_TILES, weight_hh.shape[1] >= FEW
    return InTiles(weight_hh, weight_ih) if few and many and takes_winograd(weight_hh, padding, dtype, size) else None


def _concatenated(
    weight_hh: Tensor, weight_ih: Tensor, padding: tuple[int, int], dtype: torch.dtype, size: tuple[int, int]
) -> Concatenated | None:
    # Of more channels than that, the copies of h and x take longer than what they save.
    few = 2 * weight_ih.shape[1] <= weight_hh.shape[1]
    return Concatenated(weight_hh, weight_ih, padding, dtype, size) if few else None


JOINED: dict[str, Callable[[Tensor, Tensor, tuple[int, int], torch.dtype, tuple[int, int]], Joined | None]] = {
    "cpu": _in_tiles,
    "cuda": _concatenated,
}
"""By the type of a device: makes the joined convolution of two weights, None where it would not pay."""


def join(
    weight_hh: Tensor, weight_ih: Tensor, padding: tuple[int, int], dtype: torch.dtype, size: tuple[int, int]
) -> Joined | None:
    """The convolutions of frames of this size and type with two weights as one, or None where they stay apart.

    Frames have their channels last in memory, and the padding is that of both.
    """
    make = JOINED.get(weight_hh.device.type)
    if make is None or weight_ih.shape[2:] != weight_hh.shape[2:]:
        return None
    return make(weight_hh, weight_ih, padding, dtype, size)
