"""The loss of members: how well a few members of a forecast, as a sample, describe the truth.

The almost fair CRPS (Lang et al. 2024, arXiv:2412.15832, eq. 4) of M members x_i and the truth y is

    mean_i |x_i - y| - (1 - (1 - α) / M) / (2 M (M - 1)) sum_i,j |x_i - x_j|

that is the fair CRPS (Ferro 2014) for α = 1. It is taken of single pixels, and of what pixels next to each other say
together, since members that are right pixel by pixel may still be salt and pepper: of differences along x, y and time,
and of means over blocks, which see errors of place and of amount. Each is divided by the root of the mean absolute
error of copying the last frame, of each clip, so that quiet clips count too.

The CRPS is about the typical error, and the mean squared error about the largest ones: members that minimise the first
alone lie closer together than their mean is in error. So pixels and means over blocks are also scored with |.| to the
power of 1.5 in place of 1 (the energy score of one dimension, Gneiting and Raftery 2007, eq. 22, proper for powers
below 2), divided by the error of copying itself.
"""

import torch.nn.functional as F
from torch import Tensor

ALPHA = 0.95
"""Share of the fair score; the rest keeps members apart from being free to be anywhere but one (degeneracy)."""
DIFFERENCES, TEMPORAL = 1.0, 0.5
"""Weights, beside 1 for pixels, of differences along x and along y, and along time."""
BLOCKS = {4: 1.0, 8: 0.5}
"""Weights of means over blocks, by their side in pixels."""
POWER = 1.5
"""Power of the second score of pixels and of blocks, which weighs as much as the first."""
QUIET = 2e-3
"""Added to the error of copying: below that, most of a difference is the rounding to 8 bits."""


def almost_fair_crps(members: Tensor, truth: Tensor, power: float = 1.0) -> Tensor:
    """The score of each clip at each lead time, (B, T): its mean over all other axes.

    `members` are (M, B, T, ...) with M at least 2, `truth` is (B, T, ...); `power` is that of absolute differences.
    """
    count = len(members)
    error = (members - truth).abs().pow(power).mean(dim=0)
    apart = sum((one - other).abs().pow(power) for at, one in enumerate(members) for other in members[:at])
    share = (1.0 - (1.0 - ALPHA) / count) / (count * (count - 1))
    score: Tensor = error - share * apart
    return score.flatten(2).mean(dim=2)


def members_loss(members: Tensor, truth: Tensor, last: Tensor, there: Tensor | None = None) -> Tensor:
    """The loss of members (M, B, T, C, H, W), a scalar.

    Args:
        members: M of each clip, at least 2, in [0, 1].
        truth: (B, T, C, H, W).
        last: the last input frame, (B, 1, C, H, W).
        there: where there is a truth, bool like it; other pixels count for nothing. None is everywhere.
    """
    change, share = (truth - last).abs(), truth.new_ones(len(truth), 1)
    if there is not None:  # all of each clip is over the pixels that have a truth
        members, truth, change = members * there, truth * there, change * there
        share = there.float().mean(dim=(1, 2, 3, 4), keepdim=True).flatten(1).clamp(min=1 / there[0].numel())
    copied = change.mean(dim=(1, 2, 3, 4))[:, None] / share + QUIET
    total = _both(members, truth, copied)
    for axis in (-1, -2):
        if truth.shape[axis] > 1:
            total = total + DIFFERENCES * almost_fair_crps(members.diff(dim=axis), truth.diff(dim=axis))
    for side, weight in BLOCKS.items():
        if min(truth.shape[-2:]) >= side:
            total = total + weight * _both(_blocks(members, side), _blocks(truth, side), copied)
    loss = (total / share / copied.sqrt()).mean()
    if truth.shape[1] > 1:
        steps = almost_fair_crps(members.diff(dim=2), truth.diff(dim=1))
        loss = loss + TEMPORAL * (steps / share / copied.sqrt()).mean()
    return loss


def _both(members: Tensor, truth: Tensor, copied: Tensor) -> Tensor:
    """The CRPS and, in the same unit, the score of the higher power, (B, T)."""
    return almost_fair_crps(members, truth) + almost_fair_crps(members, truth, POWER) / copied.sqrt()


def _blocks(frames: Tensor, side: int) -> Tensor:
    """Means over blocks of frames (..., H, W)."""
    means = F.avg_pool2d(frames.reshape(-1, 1, *frames.shape[-2:]), side)
    return means.view(*frames.shape[:-2], *means.shape[-2:])
