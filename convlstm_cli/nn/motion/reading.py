"""Images read at positions between pixels, by tensors alone."""

import torch
import torch.nn.functional as F
from torch import Tensor

CUBIC = -0.75
"""Slope of the kernel of cubic convolution at a distance of 1, as `torch.nn.functional.grid_sample` has it."""


def sample(image: Tensor, displacement: Tensor, corner: tuple[int, int] = (0, 0), *, is_cubic: bool = False) -> Tensor:
    """An image (B, C, H, W) read as far away as displacements say; beyond its edge is its edge.

    Args:
        image: (B, C, H, W).
        displacement: (B, 2, h, w), of the pixels from row and column `corner` on.
        corner: see `displacement`.
        is_cubic: by cubic convolution (Keys 1981), which is sharper and may go beyond the image's values; else
            bilinearly.

    Returns:
        (B, C, h, w).
    """
    height, width = image.shape[-2:]
    rows = corner[0] + torch.arange(displacement.shape[-2], device=image.device, dtype=displacement.dtype)
    columns = corner[1] + torch.arange(displacement.shape[-1], device=image.device, dtype=displacement.dtype)
    # Brought to the edge by hand, because grid_sample does not do it on MPS.
    x = (columns + displacement[:, 0]).clamp(0.0, width - 1.0)
    y = (rows[:, None] + displacement[:, 1]).clamp(0.0, height - 1.0)
    if not is_cubic:
        return _read(image, x, y)
    if image.device.type == "mps":  # has no bicubic grid_sample
        return cubic_by_linear(image, x, y)
    return F.grid_sample(image, _grid(image, x, y), mode="bicubic", padding_mode="border", align_corners=False)


def cubic_by_linear(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """An image (B, C, H, W) at positions x and y (B, h, w) by cubic convolution, as a sum of nine bilinear readings.

    The two inner of the four taps of an axis are both positive, so that one reading between them gives their sum
    (Sigg and Hadwiger 2005, GPU Gems 2, chapter 20).
    """
    height, width = image.shape[-2:]
    total = image.new_zeros(*image.shape[:2], *x.shape[-2:])
    for row, down in _taps(y):
        for column, across in _taps(x):
            read = _read(image, column.clamp(0.0, width - 1.0), row.clamp(0.0, height - 1.0))
            total = total + (down * across)[:, None] * read
    return total


def _taps(position: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The positions that cubic convolution reads along an axis, and their weights."""
    before = position.floor()
    part = position - before
    outer = [CUBIC * (((d - 5.0) * d + 8.0) * d - 4.0) for d in (1.0 + part, 2.0 - part)]
    inner = [((CUBIC + 2.0) * d - (CUBIC + 3.0)) * d * d + 1.0 for d in (part, 1.0 - part)]
    both = inner[0] + inner[1]
    return [(before - 1.0, outer[0]), (before + inner[1] / both, both), (before + 2.0, outer[1])]


def _read(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """An image (B, C, H, W) at positions x and y (B, h, w) within it, bilinearly: (B, C, h, w)."""
    return F.grid_sample(image, _grid(image, x, y), mode="bilinear", padding_mode="zeros", align_corners=False)


def _grid(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Positions as grid_sample counts them: from -1 at the outer edge of the first pixel to 1 at that of the last."""
    height, width = image.shape[-2:]
    return torch.stack(((x + 0.5) * (2.0 / width) - 1.0, (y + 0.5) * (2.0 / height) - 1.0), dim=-1).to(image.dtype)
