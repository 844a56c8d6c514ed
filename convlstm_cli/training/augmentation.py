"""Random changes of training clips that leave them as likely as they were, in one registry.

Imports torch inside functions only, so that `--help` can list them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlstm_cli.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

TIME, HEIGHT, WIDTH = 0, 2, 3
"""Axes of one clip (T, C, H, W)."""


@dataclass(frozen=True)
class Frames:
    """What an augmentation needs of the frames."""

    doc: str
    """To end the sentence "--augment KIND needs ..."."""
    holds: Callable[[int, int], bool]
    """Whether frames of this height and width, in pixels, have it."""


@dataclass(frozen=True)
class Augmentation:
    """A random change of a clip."""

    name: str
    doc: str
    """What it does, in a few words."""
    change: "Callable[[Tensor, float], Tensor]"
    """A clip (T, C, H, W) and a number drawn evenly from [0, 1) to the changed clip, of the same shape."""
    needs: Frames | None = None


def _flip(axis: int) -> "Callable[[Tensor, float], Tensor]":
    """Turns half of the clips round along an axis."""
    return lambda clip, draw: clip.flip(axis) if draw < 0.5 else clip


def _turn(clip: "Tensor", draw: float) -> "Tensor":
    from torch import rot90

    return rot90(clip, int(4 * draw), (HEIGHT, WIDTH))


AUGMENTATIONS: Registry[Augmentation] = Registry(
    "augmentation",
    (
        Augmentation("reverse", "in time", _flip(TIME)),
        Augmentation("vflip", "upside down", _flip(HEIGHT)),
        Augmentation("hflip", "left to right", _flip(WIDTH)),
        Augmentation("rot90", "quarter turns", _turn, Frames("square frames", lambda height, width: height == width)),
    ),
)


def augment(
    clips: "Tensor", kinds: Sequence[str], seed: tuple[int, int], part: tuple[Sequence[int], int] | None = None
) -> "Tensor":
    """Changes each clip by itself, all its frames alike.

    Args:
        clips: (B, T, C, H, W).
        kinds: names of `AUGMENTATIONS`, applied in the order of the registry.
        seed: of the training, and number of the step: the same ones give the same changes.
        part: positions of the clips in the whole batch, and its number of clips; None if they are the whole. Without
            positions there is one clip, which counts for nothing.

    Returns:
        As `clips`; the tensor itself where `kinds` is empty.

    Raises:
        KeyError: a name that is not in `AUGMENTATIONS`.
    """
    if not kinds:
        return clips
    import torch

    chosen = {AUGMENTATIONS[kind].name for kind in kinds}
    generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
    positions, count = part or (range(len(clips)), len(clips))
    # For kinds that are not asked for too, so that what one draws does not depend on the others.
    draws = torch.rand(count, len(AUGMENTATIONS), generator=generator)[list(positions) or [0]].tolist()
    changed = []
    for clip, numbers in zip(clips, draws, strict=True):
        for kind, draw in zip(AUGMENTATIONS.values(), numbers, strict=True):
            if kind.name in chosen:
                clip = kind.change(clip, draw)
        changed.append(clip)
    return torch.stack(changed)
