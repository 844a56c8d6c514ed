"""The search for the motion of frames.

Motion is found as Lucas and Kanade (1981) do, in a pyramid and iterated (Bouguet 2001), with what forecasting asks for:

- The motion is that of the things in the last frame, because it is these that are moved on. So the normal equations
  are summed over pairs of the last frame with each of the few before it, along the way that the motion itself gives.
- They are weighted down where frames differ by more than motion explains (as by the penalty of Charbonnier et al.
  1994), because what grows, fades or is uncovered shows no motion.
- They are damped and the motion is smoothed, so that noise and flat areas stand still or follow what is around them.

How many frames, how wide a window and how much smoothing are right depends on the video: rain moves steadily and needs
many frames and a wide window, small cars need a narrow window, and a hand that turns needs the latest frames only. A
`Search` is one such choice; a network may use several.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.motion import eager, native
from convlstm_cli.nn.motion.choice import has_kernel_for
from convlstm_cli.nn.motion.gaussian import blur
from convlstm_cli.nn.motion.searches import SEARCHES, Search

COARSEST = 16
"""The pyramid ends at a level with a side below this, however large the frames are: what crosses a share of the frame
in a step has the same motion there at any size."""
LEVELS = 4
"""Levels of the pyramid that smaller frames have, each half as large as the one below."""
SMALLEST = 4
"""Least side of a level in pixels."""
SMOOTHING = 0.3
"""σ in pixels of the blur before derivatives are taken."""


def estimate_motion(frames: Tensor, search: Search = SEARCHES["medium"]) -> Tensor:
    """The motion at the end of clips, in pixels a frame.

    Args:
        frames: (B, T, C, H, W) in [0, 1]; the last `search.frames` are used, or as many as there are.
        search: how it is searched for.

    Returns:
        (B, 2, H, W): by how far what is here in the last frame moves on to the next. Zero for T = 1.
    """
    return _found(pyramid(frames, search.frames), search, frames)


def estimate_motions(frames: Tensor, names: Iterable[str]) -> Tensor:
    """Several motions at the end of clips, (B, 2 K, H, W), by the names of their searches."""
    searches = [SEARCHES[name] for name in names]
    levels = pyramid(frames, max(search.frames for search in searches))
    return torch.cat([_found(levels, search, frames) for search in searches], dim=1)


def pyramid(frames: Tensor, count: int) -> list[Tensor]:
    """The last `count` frames of clips (B, T, C, H, W) in grey, (B, T or `count`, h, w), the smallest first."""
    levels = [frames[:, -count:].mean(dim=2)]
    while min(levels[-1].shape[-2:]) >= (2 * SMALLEST if len(levels) < LEVELS else COARSEST):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [blur(level, SMOOTHING) for level in reversed(levels)]


def _found(levels: list[Tensor], search: Search, frames: Tensor) -> Tensor:
    """The motion that a search finds on the levels of a pyramid, which may have more frames than it looks at."""
    if frames.shape[1] < 2:
        return frames.new_zeros(frames.shape[0], 2, *frames.shape[-2:])
    flow = frames.new_zeros(frames.shape[0], 2, *levels[0].shape[-2:])
    for level in levels:
        if flow.shape[-2:] != level.shape[-2:]:
            flow = enlarge(flow, (level.shape[-2], level.shape[-1]))
        flow = _searched(flow, level[:, -search.frames :], search)
    return flow


def enlarge(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """The motion of one level on the next, which is twice as large."""
    return 2.0 * F.interpolate(flow, size=size, mode="bilinear", align_corners=False)


def _searched(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    """The motion on a level (B, T, h, w), after all of its steps."""
    if has_kernel_for(level, flow):
        return native.improve(flow, level, search)
    for _ in range(search.iterations):
        flow = eager.improve(flow, level, search)
    return flow
