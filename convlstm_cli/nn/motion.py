"""The motion of frames, and frames moved on along it: differentiable, on any device, by tensors alone.

Motion is found as Lucas and Kanade (1981) do, in a pyramid and iterated (Bouguet 2001), with two changes that
forecasting asks for: the normal equations are summed over the last few pairs of frames, because what lasts is what can
be extrapolated, and they are damped, so that noise and flat areas stand still. Frames are moved on by backward
semi-Lagrangian advection with a motion that is constant in time (Germann and Zawadzki 2002).

Displacements are in pixels, (B, 2, H, W) with x before y.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PAIRS = 3
"""Last pairs of consecutive frames whose common motion is found."""
LEVELS, ITERATIONS = 3, 2
"""Of the pyramid, each half as large as the one below; and Gauss-Newton steps on each."""
SMALLEST = 8
"""Least side of a level in pixels."""
WINDOW, SMOOTHING = 3.0, 0.7
"""σ in pixels of a level: of the Gaussian window that shares a motion, and of the blur before derivatives are taken."""
DAMPING = 1e-3
"""Added to the squared derivatives, in squared pixel values per squared pixel."""


def estimate_motion(frames: Tensor) -> Tensor:
    """The motion at the end of clips, in pixels a frame.

    Args:
        frames: (B, T, C, H, W) in [0, 1]; the last `PAIRS` + 1 frames are used, or as many as there are.

    Returns:
        (B, 2, H, W): where the frame after the last would show what is here now. Zero for T = 1.
    """
    grey = frames[:, -PAIRS - 1 :].mean(dim=2)  # (B, T, H, W)
    pyramid = [grey]
    while len(pyramid) < LEVELS and min(pyramid[-1].shape[-2:]) >= 2 * SMALLEST:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    flow = grey.new_zeros(grey.shape[0], 2, *pyramid[-1].shape[-2:])
    if grey.shape[1] < 2:
        return grey.new_zeros(grey.shape[0], 2, *grey.shape[-2:])
    for level in reversed(pyramid):
        if flow.shape[-2:] != level.shape[-2:]:
            flow = 2.0 * F.interpolate(flow, size=level.shape[-2:], mode="bilinear", align_corners=False)
        level = _blur(level, SMOOTHING)
        for _ in range(ITERATIONS):
            flow = flow + _gauss_newton(level[:, :-1], level[:, 1:], flow)
    return flow


def displacements(flow: Tensor, steps: int, start: Tensor | None = None) -> Tensor:
    """Where the content of each pixel came from after 1, 2, ... steps of a constant motion.

    Args:
        flow: (B, 2, H, W), pixels a frame.
        steps: number of steps.
        start: (B, 2, H, W), the displacement that the first step goes on from; None is none.

    Returns:
        (B, steps, 2, H, W), to be given to `move`.
    """
    total = torch.zeros_like(flow) if start is None else start
    found = []
    for _ in range(steps):
        total = total - sample(flow, total)
        found.append(total)
    return torch.stack(found, dim=1)


def move(image: Tensor, displacement: Tensor) -> Tensor:
    """An image (B, C, H, W) read at each of the displacements (B, T, 2, H, W): (B, T, C, H, W)."""
    steps = displacement.shape[1]
    images = image[:, None].expand(-1, steps, -1, -1, -1).flatten(0, 1)
    moved = sample(images, displacement.flatten(0, 1))
    return moved.view(-1, steps, *image.shape[1:])


def sample(image: Tensor, displacement: Tensor) -> Tensor:
    """An image (B, C, H, W) read `displacement` (B, 2, H, W) pixels away, bilinearly; beyond its edge is its edge."""
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device, dtype=displacement.dtype)
    columns = torch.arange(width, device=image.device, dtype=displacement.dtype)
    # Brought to the edge by hand, because grid_sample does not do it on MPS.
    x = (columns + displacement[:, 0]).clamp(0.0, width - 1.0)
    y = (rows[:, None] + displacement[:, 1]).clamp(0.0, height - 1.0)
    # grid_sample counts from -1 at the outer edge of the first pixel to 1 at that of the last.
    grid = torch.stack(((x + 0.5) * (2.0 / width) - 1.0, (y + 0.5) * (2.0 / height) - 1.0), dim=-1)  # (B, H, W, 2)
    return F.grid_sample(image, grid.to(image.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)


def _gauss_newton(before: Tensor, after: Tensor, flow: Tensor) -> Tensor:
    """The change of `flow` (B, 2, H, W) that best carries frames (B, P, H, W) into those that follow them."""
    moved = sample(before, -flow)
    padded = F.pad(moved, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2.0
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2.0
    dt = after - moved
    products = ((dx, dx), (dx, dy), (dy, dy), (dx, dt), (dy, dt))
    terms = torch.stack([(first * second).mean(dim=1) for first, second in products], dim=1)  # (B, 5, H, W)
    xx, xy, yy, xt, yt = _blur(terms, WINDOW).unbind(dim=1)
    xx, yy = xx + DAMPING, yy + DAMPING
    return torch.stack((xy * yt - yy * xt, xy * xt - xx * yt), dim=1) / (xx * yy - xy * xy)[:, None]


def _blur(images: Tensor, sigma: float) -> Tensor:
    """(B, N, H, W) under a Gaussian of `sigma` pixels, edges repeated."""
    radius = int(2.5 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = images.flatten(0, 1)[:, None]  # (B*N, 1, H, W)
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return planes.view(images.shape)
