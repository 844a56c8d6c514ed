"""How far frames lie from their forecasts, by patches: what is unusual happens in a small part of a frame."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.scoring.members.fair_crps import fair_crps

SHARE = 8
"""Patches along the longest side of a frame, if they did not overlap."""
SMALLEST = 4
"""Least side of a patch in pixels."""
KNOWN = 0.25
"""Share of a patch that must have values for it to be judged."""
OPEN = 0.05
"""Share of the change that a single forecast makes, as what it leaves open: errors grow with motion.
`scripts/benchmark_watch.py` compares the scores; 0.03 and 0.1 find as much."""
OPEN_OF_MEMBERS = 1 / math.sqrt(math.pi)
"""Share of the standard deviation of members that is the CRPS of a truth which is drawn as they are, where they are
normally distributed (Gneiting and Raftery 2007, eq. 21)."""


@dataclass(frozen=True)
class Surprise:
    """The patches of some frames, which overlap by half; NaN where too few pixels have a value."""

    error: Tensor
    """Mean fair CRPS of the members, or absolute error of a single forecast, (B, rows, columns), of values in
    [0, 1]."""
    spread: Tensor
    """The error that the forecast itself leaves open, (B, rows, columns): by the standard deviation of its members, or
    by the change from the last frame that a single forecast makes; of both the root mean square over the patch."""


def side_of(height: int, width: int) -> int:
    """Side of a patch in pixels, an even number."""
    return max(SMALLEST, 2 * round(max(height, width) / SHARE / 2))


def surprise(members: Tensor, last: Tensor, truth: Tensor, there: Tensor) -> Surprise:
    """The patches of frames.

    Args:
        members: forecasts of the frames, (M, B, C, H, W) in [0, 1].
        last: the frames before them, (B, C, H, W).
        truth: the frames.
        there: where they have values, (B, C, H, W) bool.
    """
    side = side_of(*truth.shape[-2:])
    weights = there.to(truth.dtype)
    if len(members) > 1:
        square, share = members.var(dim=0), OPEN_OF_MEMBERS
    else:
        square, share = (members[0] - last).square(), OPEN
    return Surprise(pooled(fair_crps(members, truth), weights, side), share * pooled(square, weights, side).sqrt())


def pooled(values: Tensor, weights: Tensor, side: int) -> Tensor:
    """Means of patches, (B, C, H, W) to (B, rows, columns), over the pixels that have a weight."""
    height, width = values.shape[-2:]
    padding = (0, _missing(width, side), 0, _missing(height, side))
    total, known = (
        F.avg_pool2d(F.pad(each.mean(dim=1, keepdim=True), padding), side, side // 2)[:, 0]
        for each in (values * weights, weights)
    )
    return torch.where(known >= KNOWN, total / known.clamp(min=KNOWN), torch.nan)


def _missing(length: int, side: int) -> int:
    """Pixels by which a length is to be padded, so that patches half a side apart cover it."""
    return max(side, length + -length % (side // 2)) - length


def centre(patch: int, columns: int, side: int) -> tuple[float, float]:
    """Row and column, in pixels of the network's frame, of the middle of a patch by its position, row by row."""
    row, column = divmod(patch, columns)
    return row * side / 2 + side / 2, column * side / 2 + side / 2
