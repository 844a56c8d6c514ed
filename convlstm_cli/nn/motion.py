"""The motion of frames, and frames moved on along it: on any device, by tensors alone.

Motion is found as Lucas and Kanade (1981) do, in a pyramid and iterated (Bouguet 2001), with what forecasting asks for:

- The motion is that of the things in the last frame, because it is these that are moved on. So the normal equations
  are summed over pairs of the last frame with each of the few before it, along the way that the motion itself gives.
- They are weighted down where frames differ by more than motion explains (as by the penalty of Charbonnier et al.
  1994), because what grows, fades or is uncovered shows no motion.
- They are damped and the motion is smoothed, so that noise and flat areas stand still or follow what is around them.

Frames are moved on by backward semi-Lagrangian advection with a motion that is constant in time at each place, traced
by the midpoint rule (Germann and Zawadzki 2002).

Displacements are in pixels, (B, 2, H, W) with x before y.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FRAMES = 4
"""Last frames whose common motion is found."""
LEVELS, ITERATIONS = 4, 3
"""Levels of the pyramid, each half as large as the one below, and Gauss-Newton steps on each."""
SMALLEST = 4
"""Least side of a level in pixels."""
WINDOW, SMOOTHING, MOTION_SMOOTHING = 2.5, 0.3, 2.0
"""σ of Gaussians in pixels of a level: of the window that shares a motion, of the blur before derivatives are taken,
and of the blur of the motion after each step."""
DAMPING = 7e-4
"""Added to the squared derivatives, in squared pixel values per squared pixel."""
UNEXPLAINED = 0.05
"""Difference of pixel values from which on a pixel's weight falls."""
LONGEST_PRODUCT = 1024
"""Longest side in pixels that is blurred by a product of matrices, whose time per pixel grows with the side."""


def estimate_motion(frames: Tensor) -> Tensor:
    """The motion at the end of clips, in pixels a frame.

    Args:
        frames: (B, T, C, H, W) in [0, 1]; the last `FRAMES` are used, or as many as there are.

    Returns:
        (B, 2, H, W): by how far what is here in the last frame moves on to the next. Zero for T = 1.
    """
    if frames.shape[1] < 2:
        return frames.new_zeros(frames.shape[0], 2, *frames.shape[-2:])
    levels = pyramid(frames)
    flow = frames.new_zeros(frames.shape[0], 2, *levels[0].shape[-2:])
    for level in levels:
        if flow.shape[-2:] != level.shape[-2:]:
            flow = enlarge(flow, (level.shape[-2], level.shape[-1]))
        for _ in range(ITERATIONS):
            flow = improve(flow, level)
    return flow


def pyramid(frames: Tensor) -> list[Tensor]:
    """The last frames of clips (B, T, C, H, W) in grey, (B, T or `FRAMES`, h, w), the smallest first."""
    levels = [frames[:, -FRAMES:].mean(dim=2)]
    while len(levels) < LEVELS and min(levels[-1].shape[-2:]) >= 2 * SMALLEST:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [blur(level, SMOOTHING) for level in reversed(levels)]


def enlarge(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """The motion of one level on the next, which is twice as large."""
    return 2.0 * F.interpolate(flow, size=size, mode="bilinear", align_corners=False)


def improve(flow: Tensor, level: Tensor) -> Tensor:
    """The motion on a level (B, T, h, w) after one more Gauss-Newton step."""
    return blur(flow + _gauss_newton(level, flow), MOTION_SMOOTHING)


class Advection(NamedTuple):
    """A frame that is moved on along its motion, seen through a window."""

    frame: Tensor
    """(B, C, H, W): the whole of it, in [0, 1]."""
    motion: Tensor
    """(B, 2, H, W): of the whole frame, in pixels a step."""
    source: Tensor
    """(B, 2, h, w): how far away in the frame lies what is to be seen in the window now."""
    corner: tuple[int, int] = (0, 0)
    """Row and column of the frame where the window begins; it may reach beyond the frame, whose edge is repeated."""

    @classmethod
    def of(cls, frames: Tensor) -> "Advection":
        """The last of the frames (B, T, C, H, W), not moved yet, as a whole."""
        # Nothing is learned of the motion: one that followed a loss could stop being one.
        motion = estimate_motion(frames.detach())
        # A copy, since a view would keep all frames.
        return cls(frames[:, -1].clone(), motion, torch.zeros_like(motion))

    def window(self, top: int, left: int, height: int, width: int) -> "Advection":
        """The same, not moved yet, seen through a window of the frame."""
        return self._replace(source=self.motion.new_zeros(len(self.motion), 2, height, width), corner=(top, left))

    def advance(self, steps: int) -> tuple[Tensor, "Advection"]:
        """What the window shows after each of the next steps, (B, steps, C, h, w), and what goes on from there."""
        source = self.source
        seen = []
        for _ in range(steps):
            halfway = source - sample(self.motion, source, self.corner) / 2.0
            source = source - sample(self.motion, halfway, self.corner)
            seen.append(sample(self.frame, source, self.corner))
        return torch.stack(seen, dim=1), self._replace(source=source)


def sample(image: Tensor, displacement: Tensor, corner: tuple[int, int] = (0, 0)) -> Tensor:
    """An image (B, C, H, W) read bilinearly as far away as displacements say; beyond its edge is its edge.

    `displacement` (B, 2, h, w) belongs to the pixels from row and column `corner` on. Gives (B, C, h, w).
    """
    height, width = image.shape[-2:]
    rows = corner[0] + torch.arange(displacement.shape[-2], device=image.device, dtype=displacement.dtype)
    columns = corner[1] + torch.arange(displacement.shape[-1], device=image.device, dtype=displacement.dtype)
    # Brought to the edge by hand, because grid_sample does not do it on MPS.
    x = (columns + displacement[:, 0]).clamp(0.0, width - 1.0)
    y = (rows[:, None] + displacement[:, 1]).clamp(0.0, height - 1.0)
    # grid_sample counts from -1 at the outer edge of the first pixel to 1 at that of the last.
    grid = torch.stack(((x + 0.5) * (2.0 / width) - 1.0, (y + 0.5) * (2.0 / height) - 1.0), dim=-1)  # (B, h, w, 2)
    return F.grid_sample(image, grid.to(image.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)


def _gauss_newton(frames: Tensor, flow: Tensor) -> Tensor:
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
    products = ((dx, dx), (dx, dy), (dy, dy), (dx, difference), (dy, difference))
    terms = torch.stack([(weight * one * other).mean(dim=1) for one, other in products], dim=1)  # (B, 5, H, W)
    xx, xy, yy, xt, yt = blur(terms, WINDOW).unbind(dim=1)
    xx, yy = xx + DAMPING, yy + DAMPING
    return torch.stack((xy * yt - yy * xt, xy * xt - xx * yt), dim=1) / (xx * yy - xy * xy)[:, None]


def blur(images: Tensor, sigma: float) -> Tensor:
    """(B, N, H, W) under a Gaussian of `sigma` pixels, edges repeated."""
    radius = int(2.5 * sigma + 0.5)
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    kernel = [weight / sum(kernel) for weight in kernel]
    if max(images.shape[-2:]) > LONGEST_PRODUCT:
        return _weighted_shifts(_weighted_shifts(images, kernel).mT, kernel).mT
    # As products of matrices, which take 1/20 of the time of depthwise convolutions forward and backward at 64x64.
    down, across = (
        _weighted_shifts(torch.eye(side, dtype=images.dtype, device=images.device)[None], kernel)[0]
        for side in images.shape[-2:]
    )
    return down.T @ images @ across


def _weighted_shifts(images: Tensor, kernel: list[float]) -> Tensor:
    """Images (..., H, W) under a kernel along W, edges repeated."""
    radius, width = len(kernel) // 2, images.shape[-1]
    first, last = images[..., :1], images[..., -1:]
    padded = torch.cat((*[first] * radius, images, *[last] * radius), dim=-1)
    total = kernel[0] * padded[..., :width]
    for offset, weight in enumerate(kernel[1:], start=1):
        total = torch.add(total, padded[..., offset : offset + width], alpha=weight)
    return total
