"""One step of the search for motion, and frames moved on along motions, by tensors: on any device, with gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.motion.gaussian import blur
from convlstm_cli.nn.motion.reading import sample
from convlstm_cli.nn.motion.searches import Search

UNEXPLAINED = 0.05
"""Difference of pixel values from which on a pixel's weight falls."""


def improve(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    """The motion on a level (B, T, h, w) after one more Gauss-Newton step."""
    return blur(flow + _gauss_newton(level, flow, search), search.smoothing)


def advance(
    frame: Tensor,
    motion: Tensor,
    source: Tensor,
    steps: int,
    *,
    beside: Tensor | None = None,
    corner: tuple[int, int] = (0, 0),
    is_cubic: bool = True,
    unseen: int = 0,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """A frame after each of the next steps along each of its motions.

    Args:
        frame: (B, C, H, W).
        motion: (B, 2 K, H, W), in pixels a step.
        source: (B, 2 K, h, w), how far away in the frame lies what is seen in a window of it.
        steps: how many, at least one.
        beside: (B, N, H, W), what is carried along the first motion and read bilinearly.
        corner: row and column of the frame where the window begins; it may reach beyond the frame.
        is_cubic: whether the frame is read by cubic convolution, else bilinearly.
        unseen: steps that are made before those, and at which nothing is read.

    Returns:
        What is seen, (B, steps, K, C, h, w), what is carried, (B, steps, N, h, w), and the source after the last step.
    """
    count = motion.shape[1] // 2
    shape = source.shape
    motion, source = (each.reshape(-1, 2, *each.shape[-2:]) for each in (motion, source))  # (B K, ...)
    frames = frame.repeat_interleave(count, dim=0) if count > 1 else frame
    seen, carried = [], []
    for step in range(unseen + steps):
        source = _traced(motion, source, corner)
        if step < unseen:
            continue
        moved = sample(frames, source, corner, is_cubic=is_cubic)
        seen.append(moved.reshape(-1, count, *moved.shape[1:]))
        if beside is not None:
            carried.append(sample(beside, source[::count], corner))
    return torch.stack(seen, dim=1), torch.stack(carried, dim=1) if carried else None, source.reshape(shape)


def _traced(motion: Tensor, source: Tensor, corner: tuple[int, int]) -> Tensor:
    """Where what is seen one step later comes from, (B, 2, h, w), by the midpoint rule."""
    halfway = source - sample(motion, source, corner) / 2.0
    return source - sample(motion, halfway, corner)


def _gauss_newton(frames: Tensor, flow: Tensor, search: Search) -> Tensor:
    """The change of `flow` (B, 2, H, W) that best carries the frames (B, T, H, W) before the last into the last."""
    steps = torch.arange(frames.shape[1] - 1, 0, -1, device=frames.device, dtype=frames.dtype)  # T-1 ... 1
    back = -steps.view(1, -1, 1, 1, 1) * flow[:, None]  # (B, T-1, 2, H, W)
    moved = sample(frames[:, :-1].flatten(0, 1)[:, None], back.flatten(0, 1)).view_as(frames[:, :-1])
    padded = F.pad(moved, (1, 1, 1, 1), mode="replicate")
    steps = steps.view(1, -1, 1, 1)
    dx = steps * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2.0
    dy = steps * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2.0
    difference = frames[:, -1:] - moved
    # By the number of steps too: over a longer way the equations are steeper, but a constant motion explains less.
    weight = UNEXPLAINED / (difference.square() + UNEXPLAINED**2).sqrt() / steps
    by_x, by_y = weight * dx, weight * dy
    products = ((by_x, dx), (by_x, dy), (by_y, dy), (by_x, difference), (by_y, difference))
    terms = torch.stack([(one * other).mean(dim=1) for one, other in products], dim=1)  # (B, 5, H, W)
    xx, xy, yy, xt, yt = blur(terms, search.window).unbind(dim=1)
    xx, yy = xx + search.damping, yy + search.damping
    return torch.stack((xy * yt - yy * xt, xy * xt - xx * yt), dim=1) / (xx * yy - xy * xy)[:, None]
