"""Blending: the weight of each pixel of a tile, and the weighted sum of tiles in a frame."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def weights(starts: Sequence[int], size: int, length: int) -> list[Tensor]:
    """The weights of tiles along one axis, one vector for each tile; they sum to 1 at every pixel of the axis.

    Args:
        starts: first pixel of each tile, ascending.
        size: pixels of each tile.
        length: pixels of the axis; the last tile may end beyond it.

    Returns for each tile (pixels of the tile that lie on the axis,) float32.
    """
    profiles = torch.zeros(len(starts), length, dtype=torch.float64)
    for index, start in enumerate(starts):
        before = starts[index - 1] + size - start if index else 0
        after = start + size - starts[index + 1] if index + 1 < len(starts) else 0
        profile = _profile(size, before, after)[: length - start]
        profiles[index, start : start + len(profile)] = profile
    profiles /= profiles.sum(dim=0)
    return [profile[start : start + size].float() for start, profile in zip(starts, profiles, strict=True)]


def add_tile(total: Tensor, piece: Tensor, top: int, left: int, row_weights: Tensor, column_weights: Tensor) -> None:
    """Adds a tile's piece, weighted, to the frames that it belongs to.

    Args:
        total: (B, n, C, H, W) on the CPU, changed in place.
        piece: (B, n, C, h, w) on any device; what lies beyond the frame is left out.
        top: row of the tile's first row in the frame.
        left: column of its first column.
        row_weights: (rows that lie in the frame,).
        column_weights: (columns that lie in the frame,).
    """
    each = row_weights[:, None] * column_weights  # (h, w)
    height, width = each.shape
    part = total[..., top : top + height, left : left + width]
    part += piece[..., :height, :width].cpu() * each


def _profile(size: int, before: int, after: int) -> Tensor:
    """The weight of each pixel of a tile of `size` before all are divided by their sum, (size,) float64.

    `before` and `after` are the pixels that it shares with its neighbours. The weight rises over the middle half of an
    overlap as a squared sine. It is 0 in the outer quarter, where the network sees the zeros beyond the tile's edge.
    """
    pixels = torch.arange(size, dtype=torch.float64) + 0.5
    profile = torch.ones(size, dtype=torch.float64)
    for overlap, distance in ((before, pixels), (after, size - pixels)):
        if overlap:
            rise = ((distance - overlap / 4) / (overlap / 2)).clamp(0.0, 1.0)
            profile *= torch.sin(rise * math.pi / 2) ** 2
    return profile
