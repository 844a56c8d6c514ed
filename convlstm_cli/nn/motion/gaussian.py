"""Gaussian blur, by tensors alone."""

import functools
import math

import torch
from torch import Tensor

LONGEST_PRODUCT = 1024
"""Longest side in pixels that is blurred by a product of matrices, whose time per pixel grows with the side."""
LONGEST_KEPT = 256
"""Longest side in pixels whose matrices are kept: on a CPU they are a quarter of the time of a search at 64x64, and on
a GPU each is some twenty launches."""


def blur(images: Tensor, sigma: float) -> Tensor:
    """(B, N, H, W) under a Gaussian of `sigma` pixels, edges repeated."""
    if max(images.shape[-2:]) > LONGEST_PRODUCT:
        kernel = gaussian(sigma)
        return _weighted_shifts(_weighted_shifts(images, kernel).mT, kernel).mT
    # As products of matrices, which take 1/20 of the time of depthwise convolutions forward and backward at 64x64.
    down, across = (_matrix_for(images, side, sigma) for side in images.shape[-2:])
    if images.device.type == "cuda":  # where torch would copy all images, turned, for a product from the left
        flat = (images @ across).flatten(0, 1)
        return torch.bmm(down.T.expand(flat.shape[0], -1, -1), flat).view_as(images)
    return down.T @ images @ across


def gaussian(sigma: float) -> list[float]:
    """The weights of a Gaussian at whole pixels; their sum is 1."""
    radius = int(2.5 * sigma + 0.5)
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return [weight / sum(kernel) for weight in kernel]


def _matrix_for(images: Tensor, side: int, sigma: float) -> Tensor:
    """The matrix (side, side) by which a row of pixels is multiplied to be blurred, for images of this kind."""
    dtype, device = images.dtype, images.device
    if side <= LONGEST_KEPT and device.type == "cpu":
        if type(images) is Tensor:
            return _kept_matrix(side, sigma, dtype)
        # An export records a constant, and must not leave a tensor of its own kind to others.
        return torch.tensor(_matrix(side, sigma), dtype=dtype, device="cpu")
    if side <= LONGEST_KEPT and device.type == "cuda" and type(images) is Tensor and not torch.compiler.is_compiling():
        key = side, sigma, dtype, device
        # While a CUDA graph is captured nothing can be copied from the CPU.
        if key not in _ON_GPUS and not torch.cuda.is_current_stream_capturing():
            with torch.inference_mode(False):
                _ON_GPUS[key] = _kept_matrix(side, sigma, dtype).to(device)
        if key in _ON_GPUS:
            return _ON_GPUS[key]
    return _weighted_shifts(torch.eye(side, dtype=dtype, device=device)[None], gaussian(sigma))[0]


_ON_GPUS: dict[tuple[int, float, torch.dtype, torch.device], Tensor] = {}
"""Kept for good, because a CUDA graph may read them; `LONGEST_KEPT` bounds how many they are."""


@functools.lru_cache(maxsize=64)
def _matrix(side: int, sigma: float) -> list[list[float]]:
    """The matrix (side, side) by which a row of pixels is multiplied to be blurred, as numbers."""
    kernel = gaussian(sigma)
    matrix = [[0.0] * side for _ in range(side)]
    for place in range(side):
        for offset, weight in enumerate(kernel, start=-(len(kernel) // 2)):
            matrix[min(max(place + offset, 0), side - 1)][place] += weight
    return matrix


@functools.lru_cache(maxsize=64)
def _kept_matrix(side: int, sigma: float, dtype: torch.dtype) -> Tensor:
    # It may be needed for a gradient later, and the caller may have set another default device.
    with torch.inference_mode(False):
        return torch.tensor(_matrix(side, sigma), dtype=dtype, device="cpu")


def _weighted_shifts(images: Tensor, kernel: list[float]) -> Tensor:
    """Images (..., H, W) under a kernel along W, edges repeated."""
    radius, width = len(kernel) // 2, images.shape[-1]
    first, last = images[..., :1], images[..., -1:]
    padded = torch.cat((*[first] * radius, images, *[last] * radius), dim=-1)
    total = kernel[0] * padded[..., :width]
    for offset, weight in enumerate(kernel[1:], start=1):
        total = torch.add(total, padded[..., offset : offset + width], alpha=weight)
    return total
