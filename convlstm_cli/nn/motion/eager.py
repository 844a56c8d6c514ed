"""One step of the search for motion, and frames moved on along motions, by tensors: on any device, with gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.motion.gaussian import blur
from convlstm_cli.nn.motion.guided import smooth, trust
from convlstm_cli.nn.motion.reading import sample
from convlstm_cli.nn.motion.searches import Search

UNEXPLAINED = 0.05
"""Difference of pixel values from which on a pixel's weight falls."""
AROUND, FILLED = 0.02, 0.003
"""Where less than one pixel lands at a place, because things move apart: weights of what lands on the place and next to
it, and of the moved frame, for each pixel that is missing."""
EXACT = 2.0**20
"""Parts of a pixel value in which splats are summed on CUDA, where sums of floats depend on chance."""


def enlarge(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """The motion of one level on the next, which is twice as large."""
    return 2.0 * F.interpolate(flow, size=size, mode="bilinear", align_corners=False)


def improve(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    """The motion on a level (B, T, h, w) after one more Gauss-Newton step."""
    terms = _normal_equations(level, flow)
    weight = trust(terms[:, 0:1] + terms[:, 2:3], search.damping)
    return smooth(flow + _solved(blur(terms, search.window), search.damping), weight, level[:, -1:], search.smoothing)


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
    lead: Tensor | None = None,
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
        lead: (B, 1, 1, 1), the steps that were made before; where it is given, the frame is splatted too.

    Returns:
        What is seen, (B, steps, K, C, h, w), or (B, steps, 2 K, C, h, w) with what is splatted behind; what is carried,
        (B, steps, N, h, w); and the source after the last step.
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
        shown = moved.reshape(-1, count, *moved.shape[1:])
        if lead is not None:
            ahead = (lead + float(step + 1)).repeat_interleave(count, dim=0)
            landed = _splatted(frames, ahead * motion, moved, corner)
            shown = torch.cat((shown, landed.reshape_as(shown)), dim=1)
        seen.append(shown)
        if beside is not None:
            carried.append(sample(beside, source[::count], corner))
    return torch.stack(seen, dim=1), torch.stack(carried, dim=1) if carried else None, source.reshape(shape)


def _splatted(image: Tensor, displacement: Tensor, fill: Tensor, corner: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W), each pixel of which goes as far as displacements (B, 2, H, W) say, seen through a window.

    A pixel is shared bilinearly among the four around the place where it lands, and a place shows the weighted mean of
    what lands there. Where that is less than one pixel, a little of what lands around, and of `fill`, (B, C, h, w),
    counts too.
    """
    channels, height, width = image.shape[1:]
    rows, columns = fill.shape[-2] + 2, fill.shape[-1] + 2  # with what lands around the window
    y = torch.arange(height, device=image.device, dtype=image.dtype)[:, None] + displacement[:, 1] - (corner[0] - 1)
    x = torch.arange(width, device=image.device, dtype=image.dtype) + displacement[:, 0] - (corner[1] - 1)
    top, left = y.floor(), x.floor()
    values = torch.cat((image, torch.ones_like(image[:, :1])), dim=1).flatten(2)  # (B, C + 1, H W)
    whole = _sums_whole_numbers(image)
    total = values.new_zeros(*values.shape[:2], rows * columns, dtype=torch.int64 if whole else None)
    for row in (top, top + 1.0):
        for column in (left, left + 1.0):
            inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            weight = inside * (1.0 - (y - row).abs()) * (1.0 - (x - column).abs())
            place = row.clamp(0, rows - 1).long() * columns + column.clamp(0, columns - 1).long()
            given = values * weight.flatten(1)[:, None]
            index = place.flatten(1)[:, None].expand_as(given)
            total = total.scatter_add(2, index, (given * EXACT).round().long() if whole else given)
    sums = (total / EXACT if whole else total).to(image.dtype).view(-1, channels + 1, rows, columns)
    landed, near = sums[..., 1:-1, 1:-1], 9.0 * F.avg_pool2d(sums, 3, stride=1)
    missing = (1.0 - landed[:, channels:]).clamp(min=0.0)
    both = landed + AROUND * missing * near
    return (both[:, :channels] + FILLED * missing * fill) / (both[:, channels:] + FILLED * missing)


def _sums_whole_numbers(image: Tensor) -> bool:
    """Whether sums are of whole numbers, whose order does not count, and which have no gradient."""
    return image.device.type == "cuda" and not (torch.is_grad_enabled() and image.requires_grad)


def _traced(motion: Tensor, source: Tensor, corner: tuple[int, int]) -> Tensor:
    """Where what is seen one step later comes from, (B, 2, h, w), by the midpoint rule."""
    halfway = source - sample(motion, source, corner) / 2.0
    return source - sample(motion, halfway, corner)


def _normal_equations(frames: Tensor, flow: Tensor) -> Tensor:
    """What each pixel says of how `flow` (B, 2, H, W) has to change to carry the frames (B, T, H, W) into the last.

    Returns:
        (B, 5, H, W): means over the frames before the last of the products xx, xy, yy of the derivatives, and xt, yt
        of those with the difference that is left.
    """
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
    return torch.stack([(one * other).mean(dim=1) for one, other in products], dim=1)


def _solved(terms: Tensor, damping: float) -> Tensor:
    """The change of the motion, (B, 2, H, W), that normal equations (B, 5, H, W) ask for."""
    xx, xy, yy, xt, yt = terms.unbind(dim=1)
    xx, yy = xx + damping, yy + damping
    return torch.stack((xy * yt - yy * xt, xy * xt - xx * yt), dim=1) / (xx * yy - xy * xy)[:, None]
