"""Convolutions with 3x3 and 5x5 kernels by Winograd's minimal filtering, in float32 on a CPU, with `winograd.c`.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, with tiles of 2x2 outputs: 2.25 times
fewer multiplications for 3x3 kernels and 2.78 times for 5x5. Larger tiles would save more and cost digits. With the
interpolation points taken here the error of 3x3 kernels is half that of oneDNN's direct convolutions, and of 5x5
kernels about the same (`scripts/benchmark_speed.py --convolutions` prints both). Whole sequences come out nearer to
float64 than with direct convolutions; gradients may be twice as far from it with 5x5 kernels.
"""

import ctypes
import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.kernels import WINOGRAD, Shape

# G for the B^T and A^T of winograd.c: row i has the powers of interpolation point i, times the factor left out of B^T.
_G3 = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_SCALES5 = (64 / 81, 128 / 243, 128 / 243, -32 / 243, -32 / 243)
_POINTS5 = (0.0, 0.75, -0.75, 1.5, -1.5)
_G5 = (*(tuple(s * p**j for j in range(5)) for s, p in zip(_SCALES5, _POINTS5, strict=True)), (0, 0, 0, 0, 1))


ROOM = 32
"""Values behind frames beside others that the kernel may read, without using them; as many as its vectors have."""


class WinogradWeights:
    """Weights (out, in, k, k), transformed for channels-last frames (N, in, H, W).

    The last `beside` channels may be those of other frames (N, beside, H, W), each made by `with_room`.
    """

    def __init__(self, weight: Tensor, beside: int = 0) -> None:
        self._kernel = c_kernels.load(WINOGRAD)
        self._out, self._in, self._side, _ = weight.shape
        self._beside = beside
        self._weight = weight
        self._shape: Shape | None = None
        self._scratch = weight.new_empty(0)

    def output(self, frames: Tensor, bias: Tensor | None, beside: Tensor | None = None) -> Tensor:
        """The convolution, (N, out, H, W), channels last."""
        n, _, height, width = frames.shape
        output = frames.new_empty(n, height, width, self._out).permute(0, 3, 1, 2)
        self._forward(frames, beside, bias, output, add=False)
        return output

    def add_output(self, total: Tensor, frames: Tensor) -> None:
        """Adds the convolution to `total`."""
        self._forward(frames, None, None, total, add=True)

    def add_weight_gradient(self, sums: Tensor, frames: Tensor, gradient: Tensor, beside: Tensor | None = None) -> None:
        """Adds the transformed gradient to `sums`, (threads, n*n, in, out), for `weight_gradient`."""
        shape = self._shape_for(frames)
        self._kernel.winograd_weight_gradient(
            ctypes.byref(shape),
            frames.data_ptr(),
            None if beside is None else beside.data_ptr(),
            gradient.data_ptr(),
            sums.data_ptr(),
            self._scratch.data_ptr(),
        )

    def new_sums(self) -> Tensor:
        """Zeros for `add_weight_gradient`."""
        return self._weight.new_zeros(torch.get_num_threads(), (self._side + 1) ** 2, self._in, self._out)

    def weight_gradient(self, sums: Tensor) -> Tensor:
        """The gradient to the weights, (out, in, k, k), from the sums of all calls."""
        both = torch.kron(*2 * (_transform(self._side),))
        gradient = both.t() @ sums.sum(dim=0).flatten(1).to(both.dtype)  # (k*k, in*out)
        return gradient.to(sums.dtype).view(self._side, self._side, self._in, self._out).permute(3, 2, 0, 1)

    @functools.cached_property
    def _weights(self) -> Tensor:
        """(n*n, out / panel, in, panel); computed at first use, because a weight gradient alone does not need it."""
        panel = self._kernel.winograd_panel()
        both = torch.kron(*2 * (_transform(self._side),)).to(self._weight.dtype)  # (n*n, k*k)
        transformed = both @ self._weight.reshape(-1, self._side**2).t()  # (n*n, out*in)
        return transformed.view(-1, self._out // panel, panel, self._in).transpose(2, 3).contiguous()

    def _forward(
        self, frames: Tensor, beside: Tensor | None, bias: Tensor | None, output: Tensor, *, add: bool
    ) -> None:
        shape = self._shape_for(frames)
        self._kernel.winograd_forward(
            ctypes.byref(shape),
            frames.data_ptr(),
            None if beside is None else beside.data_ptr(),
            self._weights.data_ptr(),
            None if bias is None else bias.data_ptr(),
            add,
            output.data_ptr(),
            self._scratch.data_ptr(),
        )

    def _shape_for(self, frames: Tensor) -> Shape:
        n, _, height, width = frames.shape
        threads = torch.get_num_threads()
        shape = Shape(n, height, width, self._in - self._beside, self._out, self._side + 1, threads, self._beside)
        if self._shape is None or bytes(self._shape) != bytes(shape):
            self._shape = shape
            self._scratch = frames.new_empty(self._kernel.winograd_scratch(ctypes.byref(shape)))
        return self._shape


def with_room(frames: Tensor) -> Tensor:
    """A copy of frames (..., channels, H, W) in float32, channels last, behind which the kernel may read."""
    ordered = frames.movedim(-3, -1)
    memory = frames.new_empty(ordered.numel() + ROOM, dtype=torch.float32)
    memory[-ROOM:] = 0.0
    return memory[:-ROOM].view(ordered.shape).copy_(ordered).movedim(-1, -3)


def fits(weight: Tensor, padding: tuple[int, int]) -> bool:
    """Whether `WinogradWeights` can take this weight, in both directions, with this padding.

    The caller checks type and device, and that the kernel is available.
    """
    out, fan_in, height, width = weight.shape
    same = padding == (height // 2, width // 2)
    panel = c_kernels.load(WINOGRAD).winograd_panel()
    return height == width and height in (3, 5) and same and out % panel == 0 and fan_in % panel == 0


@functools.cache
def why_not() -> str | None:
    """None if the kernel is available and computes what torch does; else why not, in a few words."""
    try:
        c_kernels.load(WINOGRAD)
    except c_kernels.NotAvailable as reason:
        return str(reason)
    order = torch.channels_last
    for side in (3, 5):
        frames = _values(2, 35, 5, 7)
        weight = _values(64, 35, side, side)
        gradient = _values(2, 64, 5, 7).contiguous(memory_format=order)
        ours, first, beside = WinogradWeights(weight, 3), with_room(frames[:, :32]), with_room(frames[:, 32:])
        sums = ours.new_sums()
        ours.add_weight_gradient(sums, first, gradient, beside)
        padding = [side // 2] * 2
        # Called directly, because autograd does not record in inference mode.
        _, expected, _ = torch.ops.aten.convolution_backward(
            gradient, frames, weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [False, True, False]
        )
        if not (
            torch.allclose(ours.output(first, None, beside), F.conv2d(frames, weight, padding=padding), atol=1e-3)
            and torch.allclose(ours.weight_gradient(sums), expected, atol=1e-3)
        ):
            return "it does not compute what torch does"
    return None


def _values(*shape: int) -> Tensor:
    """Example values, independent of the default type and device."""
    count = math.prod(shape)
    return torch.linspace(-0.7 * count, 0.7 * count, count, dtype=torch.float32, device="cpu").sin().view(shape)


def _transform(side: int) -> Tensor:
    """G, (side + 1, side)."""
    return torch.tensor(_G3 if side == 3 else _G5, dtype=torch.float64, device="cpu")
