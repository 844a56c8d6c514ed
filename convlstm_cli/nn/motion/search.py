"""The search for the motion of frames.

Motion is found as Lucas and Kanade (1981) do, in a pyramid and iterated (Bouguet 2001), with what forecasting asks for:

- The motion is that of the things in the last frame, because it is these that are moved on. So the normal equations
  are summed over pairs of the last frame with each of the few before it, along the way that the motion itself gives.
- They are weighted down where frames differ by more than motion explains (as by the penalty of Charbonnier et al.
  1994), because what grows, fades or is uncovered shows no motion.
- They are damped and the motion is smoothed by what the last frame shows (`guided.py`), so that noise stands still,
  and a flat area follows the structure around it that looks alike.

How many frames, how wide a window and how much smoothing are right depends on the video: rain moves steadily and needs
many frames and a wide window, small cars need a narrow window, and a hand that turns needs the latest frames only. A
`Search` is one such choice; a network may use several.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.motion.choice import choose
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
    return _found(pyramid(frames, search.frames), frames, search, (0,))[0]


def estimate_motions(frames: Tensor, names: Iterable[str], lookbacks: Sequence[int] = (0,)) -> list[Tensor]:
    """Several motions, by the names of their searches, at the end of clips or some frames before it.

    Args:
        frames: (B, T, C, H, W) in [0, 1].
        names: those of K searches.
        lookbacks: how many frames before the last one; what came after is not looked at. Each is below T.

    Returns:
        For each lookback (B, 2 K, H, W), as `estimate_motion` gives them.
    """
    searches = [SEARCHES[name] for name in names]
    levels = pyramid(frames, max(search.frames for search in searches) + max(lookbacks))
    found = [_found(levels, frames, search, lookbacks) for search in searches]
    return [torch.cat(motions, dim=1) for motions in zip(*found, strict=True)]


def groups(frames: int, search: Search, lookbacks: Sequence[int]) -> dict[int, list[int]]:
    """The lookbacks from which a search in clips of so many frames sees as many frames, by that number.

    They can be searched as one batch. Those from which a single frame is seen, which shows no motion, are left out.
    """
    found: dict[int, list[int]] = {}
    for lookback in lookbacks:
        count = min(search.frames, frames - lookback)
        if count > 1:
            found.setdefault(count, []).append(lookback)
    return found


def seen_from(level: Tensor, count: int, lookbacks: Sequence[int]) -> Tensor:
    """The last `count` frames of a level (B, T, h, w) before each lookback, one batch after the other."""
    ends = [level.shape[1] - lookback for lookback in lookbacks]
    return torch.cat([level[:, end - count : end] for end in ends])


def pyramid(frames: Tensor, count: int) -> list[Tensor]:
    """The last `count` frames of clips (B, T, C, H, W) in grey, (B, T or `count`, h, w), the smallest first."""
    levels = [frames[:, -count:].mean(dim=2)]
    while min(levels[-1].shape[-2:]) >= (2 * SMALLEST if len(levels) < LEVELS else COARSEST):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [blur(level, SMOOTHING) for level in reversed(levels)]


def apart(motions: Tensor, lookbacks: int) -> tuple[Tensor, ...]:
    """The motions (B, 2, H, W) from each of so many lookbacks that were found as one batch."""
    return motions.view(lookbacks, -1, *motions.shape[1:]).unbind()


def _found(levels: list[Tensor], frames: Tensor, search: Search, lookbacks: Sequence[int]) -> list[Tensor]:
    """The motions that a search finds from each lookback on the levels of a pyramid, (B, 2, H, W) each."""
    batch, length = frames.shape[:2]
    motions: dict[int, Tensor] = {}
    for count, members in groups(length, search, lookbacks).items():
        flow = frames.new_zeros(batch * len(members), 2, *levels[0].shape[-2:])
        for level in levels:
            seen = seen_from(level, count, members)
            implementation = choose(seen, flow)
            if flow.shape[-2:] != level.shape[-2:]:
                flow = implementation.enlarge(flow, (level.shape[-2], level.shape[-1]))
            flow = implementation.improve(flow, seen, search)
        motions.update(zip(members, apart(flow, len(members)), strict=True))
    still = frames.new_zeros(batch, 2, *frames.shape[-2:])
    return [motions.get(lookback, still) for lookback in lookbacks]
