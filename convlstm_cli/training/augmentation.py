"""Random changes of training clips that leave them as likely as they were, where the data has no direction."""

from collections.abc import Sequence

import torch
from torch import Tensor

AXES = {"reverse": 0, "vflip": 2, "hflip": 3}
"""Of one clip (T, C, H, W)."""


def augment(
    clips: Tensor, kinds: Sequence[str], seed: tuple[int, int], part: tuple[Sequence[int], int] | None = None
) -> Tensor:
    """Changes each clip by itself, all its frames alike.

    Args:
        clips: (B, T, C, H, W).
        kinds: any of `hflip`, `vflip`, `reverse` (each done to half of the clips) and `rot90` (no, one, two or three
            quarter turns; needs H = W).
        seed: of the training, and number of the step: the same ones give the same changes.
        part: positions of the clips in the whole batch, and its number of clips; None if they are the whole. Without
            positions there is one clip, which counts for nothing.

    Returns:
        As `clips`; the tensor itself where `kinds` is empty.
    """
    if not kinds:
        return clips
    generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
    positions, count = part or (range(len(clips)), len(clips))
    draws = torch.rand(count, len(AXES) + 1, generator=generator)[list(positions) or [0]].tolist()
    changed = []
    for clip, (*flips, turn) in zip(clips, draws, strict=True):
        axes = [axis for (kind, axis), draw in zip(AXES.items(), flips, strict=True) if kind in kinds and draw < 0.5]
        clip = clip.flip(axes)
        changed.append(torch.rot90(clip, int(4 * turn), (2, 3)) if "rot90" in kinds else clip)
    return torch.stack(changed)
