"""The motion of frames, and frames moved on along it: on any device, by tensors alone.

Motion is found as Lucas and Kanade (1981) do, in a pyramid and iterated (Bouguet 2001), with what forecasting asks for:

- The motion is that of the things in the last frame, because it is these that are moved on. So the normal equations
  are summed over pairs of the last frame with each of the few before it, along the way that the motion itself gives.
- They are weighted down where frames differ by more than motion explains (as by the penalty of Charbonnier et al.
  1994), because what grows, fades or is uncovered shows no motion.
- They are damped and the motion is smoothed, so that noise and flat areas stand still or follow what is around them.

How many frames, how wide a window and how much smoothing are right depends on the video: rain moves steadily and needs
many frames and a wide window, small cars need a narrow window, and a hand that turns needs the latest frames only. A
`Search` is one such choice; a network may use several.

Frames are moved on by backward semi-Lagrangian advection with a motion that is constant in time at each place, traced
by the midpoint rule (Germann and Zawadzki 2002), and read by cubic convolution (Keys 1981), which keeps them sharp.

Displacements are in pixels, (B, 2, H, W) with x before y, and (B, 2 K, H, W) those of K motions, one after the other.
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.kinds import Motion, registry

LEVELS = 4
"""Levels of the pyramid, each half as large as the one below."""
SMALLEST = 4
"""Least side of a level in pixels."""
SMOOTHING = 0.3
"""σ in pixels of the blur before derivatives are taken."""
UNEXPLAINED = 0.05
"""Difference of pixel values from which on a pixel's weight falls."""
PAST_WINDOW = 1.5
"""σ in pixels of the Gaussian over which errors of the past are averaged."""
CUBIC = -0.75
"""Slope of the kernel of cubic convolution at a distance of 1, as `torch.nn.functional.grid_sample` has it."""
LONGEST_PRODUCT = 1024
"""Longest side in pixels that is blurred by a product of matrices, whose time per pixel grows with the side."""
LONGEST_KEPT = 256
"""Longest side in pixels whose matrices are kept, on a CPU; they are a quarter of the time of a search at 64x64."""


@dataclass(frozen=True)
class Search:
    """How a motion is searched for."""

    frames: int
    """Last frames whose common motion is found."""
    iterations: int
    """Gauss-Newton steps on each level."""
    window: float
    """σ of the Gaussian, in pixels of a level, that shares a motion."""
    smoothing: float
    """σ of the blur of the motion after each step, likewise."""
    damping: float = 7e-4
    """Added to the squared derivatives, in squared pixel values per squared pixel."""


SEARCHES: dict[str, Search] = registry(
    Motion,
    {
        "medium": Search(4, 3, 2.5, 2.0),
        "coarse": Search(8, 3, 3.5, 3.0),
        "fine": Search(4, 6, 1.8, 1.0, damping=2e-4),
        "latest": Search(2, 4, 2.5, 1.6),
    },
)
"""The searches that `kinds.MOTIONS` describes."""


def estimate_motion(frames: Tensor, search: Search = SEARCHES["medium"]) -> Tensor:
    """The motion at the end of clips, in pixels a frame.

    Args:
        frames: (B, T, C, H, W) in [0, 1]; the last `search.frames` are used, or as many as there are.
        search: how it is searched for.

    Returns:
        (B, 2, H, W): by how far what is here in the last frame moves on to the next. Zero for T = 1.
    """
    if frames.shape[1] < 2:
        return frames.new_zeros(frames.shape[0], 2, *frames.shape[-2:])
    levels = pyramid(frames, search)
    flow = frames.new_zeros(frames.shape[0], 2, *levels[0].shape[-2:])
    for level in levels:
        if flow.shape[-2:] != level.shape[-2:]:
            flow = enlarge(flow, (level.shape[-2], level.shape[-1]))
        for _ in range(search.iterations):
            flow = improve(flow, level, search)
    return flow


def estimate_motions(frames: Tensor, names: Iterable[str]) -> Tensor:
    """Several motions at the end of clips, (B, 2 K, H, W), by the names of their searches."""
    return torch.cat([estimate_motion(frames, SEARCHES[name]) for name in names], dim=1)


def pyramid(frames: Tensor, search: Search) -> list[Tensor]:
    """The last frames of clips (B, T, C, H, W) in grey, (B, T or `search.frames`, h, w), the smallest first."""
    levels = [frames[:, -search.frames :].mean(dim=2)]
    while len(levels) < LEVELS and min(levels[-1].shape[-2:]) >= 2 * SMALLEST:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [blur(level, SMOOTHING) for level in reversed(levels)]


def enlarge(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """The motion of one level on the next, which is twice as large."""
    return 2.0 * F.interpolate(flow, size=size, mode="bilinear", align_corners=False)


def improve(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    """The motion on a level (B, T, h, w) after one more Gauss-Newton step."""
    return blur(flow + _gauss_newton(level, flow, search), search.smoothing)


class Advection(NamedTuple):
    """A frame that is moved on along one or several motions, seen through a window."""

    frame: Tensor
    """(B, C, H, W): the whole of it, in [0, 1]."""
    motion: Tensor
    """(B, 2 K, H, W): of the whole frame, in pixels a step."""
    source: Tensor
    """(B, 2 K, h, w): how far away in the frame lies what is to be seen in the window now."""
    beside: Tensor | None = None
    """(B, N, H, W): what else is carried along the first of the motions, and is read bilinearly."""
    corner: tuple[int, int] = (0, 0)
    """Row and column of the frame where the window begins; it may reach beyond the frame, whose edge is repeated."""
    is_cubic: bool = True
    """Whether the frame is read by cubic convolution, which may go beyond the frame's values; else bilinearly."""

    @classmethod
    def of(cls, frames: Tensor, motions: Iterable[str] = ("medium",), *, is_cubic: bool = True) -> "Advection":
        """The last of the frames (B, T, C, H, W), not moved yet, as a whole, with the motions of these names."""
        # Nothing is learned of the motion: one that followed a loss could stop being one.
        motion = estimate_motions(frames.detach(), motions)
        # A copy, since a view would keep all frames.
        return cls(frames[:, -1].clone(), motion, torch.zeros_like(motion), is_cubic=is_cubic)

    def window(self, top: int, left: int, height: int, width: int) -> "Advection":
        """The same, not moved yet, seen through a window of the frame."""
        shape = self.motion.shape[0], self.motion.shape[1], height, width
        return self._replace(source=self.motion.new_zeros(shape), corner=(top, left))

    def carrying(self, fields: Tensor) -> "Advection":
        """The same with further fields (B, n, H, W) beside the frame."""
        return self._replace(beside=fields if self.beside is None else torch.cat((self.beside, fields), dim=1))

    def advance(self, steps: int) -> tuple[Tensor, Tensor | None, "Advection"]:
        """What the window shows after each of the next steps, and what goes on from there.

        The frames are (B, steps, K, C, h, w), one for each motion, and what is beside them (B, steps, N, h, w).
        """
        count = self.motion.shape[1] // 2
        motion, source = (each.reshape(-1, 2, *each.shape[-2:]) for each in (self.motion, self.source))  # (B K, ...)
        frame = self.frame.repeat_interleave(count, dim=0) if count > 1 else self.frame
        seen, beside = [], []
        for _ in range(steps):
            source = _traced(motion, source, self.corner)
            moved = sample(frame, source, self.corner, is_cubic=self.is_cubic)
            seen.append(moved.reshape(-1, count, *moved.shape[1:]))
            if self.beside is not None:
                beside.append(sample(self.beside, source[::count], self.corner))
        after = self._replace(source=source.reshape_as(self.source))
        return torch.stack(seen, dim=1), torch.stack(beside, dim=1) if beside else None, after


def _traced(motion: Tensor, source: Tensor, corner: tuple[int, int] = (0, 0)) -> Tensor:
    """Where what is seen one step later comes from, (B, 2, h, w), by the midpoint rule."""
    halfway = source - sample(motion, source, corner) / 2.0
    return source - sample(motion, halfway, corner)


def past_errors(frames: Tensor, motion: Tensor, steps: int, blurred: float) -> Tensor:
    """By how much each known frame would have missed the last frame, had it been forecast so many steps before.

    Args:
        frames: (B, T, C, H, W) in [0, 1], T > steps.
        motion: that of the last frame, (B, 2 K, H, W).
        steps: lead time of the hindcast.
        blurred: σ in pixels of the blur of the frame that is moved along the first motion.

    Returns:
        (B, K + 2, H, W): the mean |difference| of the channels around each place, of the frame before moved along each
        motion, of the first of these blurred, and of the frame before as it is.
    """
    count = motion.shape[1] // 2
    flat = motion.reshape(-1, 2, *motion.shape[-2:])
    source = torch.zeros_like(flat)
    for _ in range(steps):
        source = _traced(flat, source)
    before, last = frames[:, -1 - steps], frames[:, -1:]
    moved = sample(before.repeat_interleave(count, dim=0), source, is_cubic=True).clamp(0.0, 1.0)
    moved = moved.reshape(-1, count, *before.shape[1:])
    known = torch.cat((moved, blur(moved[:, 0], blurred)[:, None], before[:, None]), dim=1)
    return blur((known - last).abs().mean(dim=2), PAST_WINDOW)


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


def blur(images: Tensor, sigma: float) -> Tensor:
    """(B, N, H, W) under a Gaussian of `sigma` pixels, edges repeated."""
    if max(images.shape[-2:]) > LONGEST_PRODUCT:
        kernel = _kernel(sigma)
        return _weighted_shifts(_weighted_shifts(images, kernel).mT, kernel).mT
    # As products of matrices, which take 1/20 of the time of depthwise convolutions forward and backward at 64x64.
    sides = images.shape[-2:]
    if images.device.type != "cpu" or max(sides) > LONGEST_KEPT:
        ones = (torch.eye(side, dtype=images.dtype, device=images.device)[None] for side in sides)
        down, across = (_weighted_shifts(one, _kernel(sigma))[0] for one in ones)
    elif type(images) is Tensor:
        down, across = (_kept_matrix(side, sigma, images.dtype) for side in sides)
    else:  # an export records a constant, and must not leave a tensor of its own kind to others
        down, across = (torch.tensor(_matrix(side, sigma), dtype=images.dtype) for side in sides)
    return down.T @ images @ across


def _kernel(sigma: float) -> list[float]:
    """The weights of a Gaussian at whole pixels; their sum is 1."""
    radius = int(2.5 * sigma + 0.5)
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return [weight / sum(kernel) for weight in kernel]


@functools.lru_cache(maxsize=64)
def _matrix(side: int, sigma: float) -> list[list[float]]:
    """The matrix (side, side) by which a row of pixels is multiplied to be blurred."""
    kernel = _kernel(sigma)
    matrix = [[0.0] * side for _ in range(side)]
    for place in range(side):
        for offset, weight in enumerate(kernel, start=-(len(kernel) // 2)):
            matrix[min(max(place + offset, 0), side - 1)][place] += weight
    return matrix


@functools.lru_cache(maxsize=64)
def _kept_matrix(side: int, sigma: float, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # it may be needed for a gradient later
        return torch.tensor(_matrix(side, sigma), dtype=dtype)


def _weighted_shifts(images: Tensor, kernel: list[float]) -> Tensor:
    """Images (..., H, W) under a kernel along W, edges repeated."""
    radius, width = len(kernel) // 2, images.shape[-1]
    first, last = images[..., :1], images[..., -1:]
    padded = torch.cat((*[first] * radius, images, *[last] * radius), dim=-1)
    total = kernel[0] * padded[..., :width]
    for offset, weight in enumerate(kernel[1:], start=1):
        total = torch.add(total, padded[..., offset : offset + width], alpha=weight)
    return total
