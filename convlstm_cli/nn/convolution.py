"""One convolution of a ConvLSTM over many steps: its output and its gradients, each in the fastest known way.

`torch.nn.functional.conv2d` and its backward are slow in a recurrence. This one keeps the weights in the convolution's
own memory layout from step to step, adds to an existing tensor, and sums the gradient to the weights over steps without
a new tensor for each.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import winograd

NARROW = 32
"""Below this kernel width times channels, a matrix product for each row of the kernel is too small to pay."""
FEW = 32
"""Below this many channels, transforming tiles for the gradient to the weights costs more than it saves."""
JOINED = 4
"""Up to so many channels, x is transformed and multiplied with h, in the rest of a vector."""
LEAST_SIDE = 8
"""Smaller frames are mostly border, where tiles multiply zeros and lose digits."""
TURNED: dict[str, tuple[torch.dtype, ...]] = {"cuda": (torch.float32,)}
"""Types, by that of the device, in which `conv2d` with the turned kernel computes the gradient to the frames: with tf32
on an H200 cuDNN's own gradient takes a fifth longer; in bfloat16 both take as long."""
GROUP = 8
"""Items of the batch whose weight gradients are one batch of matrix products; more do not fit into the cache."""


class Convolution:
    """A weight (out, in, k, k), applied with stride 1 to frames (N, in, H, W) in one order of memory.

    `size` is the height and width of the frames, `dtype` their type. With `channels_last` all channels of a position
    lie together in memory. The weight may have another type; its gradient is summed in float32 at least.
    """

    def __init__(
        self,
        weight: Tensor,
        padding: tuple[int, int],
        dtype: torch.dtype,
        size: tuple[int, int],
        *,
        channels_last: bool,
    ) -> None:
        self._padding = padding
        self._last = channels_last
        # Results of libraries are converted to this order: libraries guarantee none, and the gates' kernels rely on it.
        self._order = torch.channels_last if channels_last else torch.contiguous_format
        on_cpu = weight.device.type == "cpu"
        self._is_ambiguous = channels_last and weight.shape[1] == 1 and not on_cpu
        self._weight = self._in_order(weight.detach().to(dtype).contiguous(memory_format=self._order))
        # The gradient to the weight so far, in one of three shapes, depending on how it is computed.
        self._gradient: Tensor | None = None
        self._products: Tensor | None = None
        self._sums: Tensor | None = None
        height, width = weight.shape[2:]
        self._turned_padding = (height - 1 - padding[0], width - 1 - padding[1])
        self._winograd = channels_last and takes_winograd(weight, padding, dtype, size)
        self._packs = (
            channels_last and on_cpu and dtype in (torch.float32, torch.bfloat16)
            and min(self._turned_padding) >= 0 and can_pack(dtype)
        )  # fmt: skip
        self._multiplies = on_cpu and dtype in (torch.float32, torch.float64)
        self._turns = channels_last and dtype in TURNED.get(weight.device.type, ()) and min(self._turned_padding) >= 0
        # The library's gradient of one channel in bfloat16 reorders all of the gates: 12 times the time of a product.
        self._multiplies_whole = self._multiplies or (on_cpu and weight.shape[1] == 1)

    def output(self, frames: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution, (N, out, H', W')."""
        if self._winograd:
            return self._transformed.output(frames, bias)
        if self._packs:
            return _pointwise(frames, self._packed, bias, self._padding)
        output = F.conv2d(self._in_order(frames), self._weight, bias, padding=self._padding)
        return output.contiguous(memory_format=self._order)

    def add_output(self, total: Tensor, frames: Tensor) -> None:
        """Adds the convolution of the frames to `total`."""
        if self._winograd:
            self._transformed.add_output(total, frames)
        elif self._packs:
            _add_pointwise(total, frames, self._packed, self._padding)
        else:
            total.add_(F.conv2d(self._in_order(frames), self._weight, padding=self._padding))

    def input_gradient(self, gradient: Tensor, frames: Tensor) -> Tensor:
        """The gradient to the frames, from the gradient to their output; what the frames are does not matter."""
        # It is a convolution with the rotated kernels.
        if self._winograd:
            return self._transformed_turned.output(gradient, None)
        if self._packs:
            return _pointwise(gradient, self._packed_turned, None, self._turned_padding)
        if self._turns:
            return F.conv2d(gradient, self._turned, padding=self._turned_padding).contiguous(memory_format=self._order)
        # Not any frames of that shape: torch takes the memory order of these for that in which cuDNN computes.
        found = _backward(gradient, self._in_order(frames), self._weight, self._padding, 0)
        return found.contiguous(memory_format=self._order)

    def add_weight_gradient(self, gradient: Tensor, frames: Tensor) -> None:
        """Adds the contribution of these frames, with the gradient to their output, to `weight_gradient`."""
        out, fan_in, height, width = self._weight.shape
        if self._winograd and fan_in >= FEW:
            if self._sums is None:
                self._sums = self._transformed.new_sums()
            self._transformed.add_weight_gradient(self._sums, frames, gradient)
            return
        if self._multiplies and width * fan_in >= NARROW:
            if self._products is None:
                self._products = frames.new_zeros(height, out, width * fan_in)
            for theirs, some in zip(torch.split(gradient, GROUP), torch.split(frames, GROUP), strict=True):
                self._add_row_products(self._products, theirs, some)
            return
        if self._multiplies_whole:
            new = self._whole_products(gradient, frames)
        else:
            new = _backward(gradient, self._in_order(frames), self._weight, self._padding, 1)
        if self._gradient is None:
            self._gradient = new.to(torch.promote_types(new.dtype, torch.float32))
        else:
            self._gradient.add_(new)

    def weight_gradient(self) -> Tensor | None:
        """The sum so far, (out, in, k, k); None if nothing was added."""
        if self._sums is not None:
            return self._transformed.weight_gradient(self._sums)
        if self._products is None:
            return self._gradient
        out, fan_in, height, width = self._weight.shape
        parts = (height, out, width, fan_in) if self._last else (height, out, fan_in, width)
        return self._products.view(parts).permute((1, 3, 0, 2) if self._last else (1, 2, 0, 3))

    def _in_order(self, frames: Tensor) -> Tensor:
        """Frames, or the weight, with strides that say in which order they lie in memory.

        Those of a single channel say either. torch then takes them for the other order, and reorders all gates.
        """
        if not self._is_ambiguous:
            return frames
        height, width = frames.shape[2:]
        return frames.as_strided(frames.shape, (height * width, 1, width, 1))

    def _whole_products(self, gradient: Tensor, frames: Tensor) -> Tensor:
        """(out, in, k, k) by one matrix product for each item, over positions."""
        beside = F.unfold(frames.contiguous(), self._weight.shape[2:], padding=self._padding)  # (n, in*k*k, positions)
        gradients = gradient.permute(0, 2, 3, 1).flatten(1, 2)  # (n, positions, out)
        sums_in = torch.promote_types(gradient.dtype, torch.float32)
        return torch.bmm(beside, gradients).sum(dim=0, dtype=sums_in).t().reshape(self._weight.shape)

    def _add_row_products(self, products: Tensor, gradient: Tensor, frames: Tensor) -> None:
        """Adds matrix products over positions, one for each row of the kernel.

        On processors without AVX-512, oneDNN's own gradient takes longer and has a larger error
        (`scripts/benchmark_speed.py --convolutions`).
        """
        n, fan_in, height, _ = frames.shape
        _, out, rows, columns = gradient.shape
        (up, left), (kernel_height, kernel_width) = self._padding, self._weight.shape[2:]
        padded = height + 2 * up
        if self._last:
            around = F.pad(frames.permute(0, 2, 3, 1), (0, 0, left, left, up, up))  # (n, padded, W + 2 left, in)
            a, b, c, _ = around.stride()
            beside = around.as_strided((n, padded, columns, kernel_width * fan_in), (a, b, c, 1))
            beside = beside.reshape(n, padded * columns, -1)
            gradients = gradient.permute(0, 2, 3, 1).reshape(n, rows * columns, out).transpose(1, 2)
        else:
            around = F.pad(frames, (left, left, up, up))  # (n, in, padded, W + 2 left)
            a, b, c, d = around.stride()
            beside = around.as_strided((n, fan_in, kernel_width, padded, columns), (a, b, d, c, d))
            beside = beside.reshape(n, -1, padded * columns).transpose(1, 2)
            gradients = gradient.reshape(n, out, rows * columns)
        for row in range(kernel_height):
            window = beside[:, row * columns : (row + rows) * columns]  # (n, positions, kernel_width * in)
            products[row] += torch.bmm(gradients, window).sum(dim=0)

    @functools.cached_property
    def _turned(self) -> Tensor:
        turned = self._weight.flip(2, 3).transpose(0, 1)
        return turned.contiguous(memory_format=self._order if self._turns else torch.contiguous_format)

    @functools.cached_property
    def _transformed(self) -> winograd.WinogradWeights:
        return winograd.WinogradWeights(self._weight)

    @functools.cached_property
    def _transformed_turned(self) -> winograd.WinogradWeights:
        return winograd.WinogradWeights(self._turned)

    @functools.cached_property
    def _packed(self) -> Tensor:
        return _reorder(self._weight.contiguous(), self._padding)

    @functools.cached_property
    def _packed_turned(self) -> Tensor:
        return _reorder(self._turned, self._turned_padding)


class Joined:
    """The convolutions of h with many channels and of x with few, summed, by one product of Winograd's tiles.

    A convolution of x alone reads and writes all gates once more, and its gradient takes a third of the time of that of
    h. Here x fills vectors and rows of products that are there for h.
    """

    def __init__(self, weight_hh: Tensor, weight_ih: Tensor) -> None:
        self._x = weight_ih.shape[1]
        self._transformed = winograd.WinogradWeights(torch.cat((weight_hh, weight_ih), dim=1).detach(), self._x)
        self._sums: Tensor | None = None

    def output(self, h: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution, (N, out, H, W), of h (N, hidden, H, W) and x (N, in, H, W) from `winograd.with_room`."""
        return self._transformed.output(h, bias, x)

    def add_weight_gradient(self, gradient: Tensor, h: Tensor, x: Tensor) -> None:
        """Adds the contribution of these frames, with the gradient to their output, to `weight_gradients`."""
        if self._sums is None:
            self._sums = self._transformed.new_sums()
        self._transformed.add_weight_gradient(self._sums, h, gradient, x)

    def weight_gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """The sums so far, (out, hidden, k, k) and (out, in, k, k); None if nothing was added."""
        if self._sums is None:
            return None, None
        both = self._transformed.weight_gradient(self._sums)
        return both[:, : -self._x], both[:, -self._x :]


def joins(
    weight_hh: Tensor, weight_ih: Tensor, padding: tuple[int, int], dtype: torch.dtype, size: tuple[int, int]
) -> bool:
    """Whether `Joined` takes these weights: x has few channels, and the kernel and padding of h."""
    return (
        weight_ih.shape[2:] == weight_hh.shape[2:]
        and weight_ih.shape[1] <= JOINED
        and weight_hh.shape[1] >= FEW
        and takes_winograd(weight_hh, padding, dtype, size)
    )


def takes_winograd(weight: Tensor, padding: tuple[int, int], dtype: torch.dtype, size: tuple[int, int]) -> bool:
    """Whether a convolution of channels-last frames of this size is computed by Winograd's tiles."""
    return (
        weight.device.type == "cpu"
        and dtype == torch.float32
        and min(size) >= LEAST_SIDE
        and winograd.why_not() is None
        and winograd.fits(weight, padding)
    )


@functools.cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether torch has its private operations with packed weights, and they compute what they should.

    They are tried out, because they may change from version to version and are not there on every processor.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    frames = torch.linspace(-1.0, 1.0, 2 * 3 * 4 * 4, dtype=dtype, device="cpu").view(2, 3, 4, 4)
    frames = frames.contiguous(memory_format=torch.channels_last)
    weight = torch.linspace(-1.0, 1.0, 8 * 3 * 9, dtype=dtype, device="cpu").view(8, 3, 3, 3)
    try:
        packed = _reorder(weight, (1, 1))
        once = _pointwise(frames, packed, None, (1, 1))
        twice = once.clone()
        _add_pointwise(twice, frames, packed, (1, 1))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    expected = F.conv2d(frames.float(), weight.float(), padding=1)
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    return all(torch.allclose(got.float() / times, expected, atol=tolerance) for got, times in ((once, 1), (twice, 2)))


def _reorder(weight: Tensor, padding: tuple[int, int]) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, list(padding), [1, 1], [1, 1], 1, [])
    return packed


def _pointwise(frames: Tensor, packed: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    done: Tensor = torch.ops.mkldnn._convolution_pointwise(
        frames, packed, bias, list(padding), [1, 1], [1, 1], 1, "none", [], ""
    )
    return done


def _add_pointwise(total: Tensor, frames: Tensor, packed: Tensor, padding: tuple[int, int]) -> None:
    torch.ops.mkldnn._convolution_pointwise_.binary(
        total, frames, packed, None, list(padding), [1, 1], [1, 1], 1, "add", 1.0, None, [], None
    )


def _backward(gradient: Tensor, frames: Tensor, weight: Tensor, padding: tuple[int, int], which: int) -> Tensor:
    """The gradient to the frames (which = 0) or to the weight (1)."""
    results: Any = torch.ops.aten.convolution_backward(
        gradient, frames, weight, None, [1, 1], list(padding), [1, 1], False, [0, 0], 1, [which == 0, which == 1, False]
    )
    wanted: Tensor = results[which]
    return wanted
