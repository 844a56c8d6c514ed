"""Made-up clips of every kind of motion, to learn motion from: drawn by numpy and OpenCV, from no picture or video.

    clip(seed, frames=24, height=64, width=64)    one clip, (T, H, W, C) uint8; the seed decides every pixel
    kinds()                                       the kinds of scenes with their share of the clips

`scenes/` holds one file per kind and their registry; `camera.py` what a camera and a codec add to each.
May import the base modules and `video.opencv` only.
"""

import math

import numpy as np

from convlstm_cli.errors import UsageError
from convlstm_cli.synthetic.camera import Pixels, finish
from convlstm_cli.synthetic.canvas import Canvas
from convlstm_cli.synthetic.scenes import SCENES

__all__ = ["VERSION", "clip", "kinds"]

VERSION = 3
"""Goes up when a seed gives another clip than before."""

SMALLEST = 8
"""Least side of a frame in pixels."""


def kinds() -> dict[str, float]:
    """The names of all kinds of scenes, and the share of the clips that each is; the shares' sum is 1."""
    total = math.fsum(scene.weight for scene in SCENES.values())
    return {name: scene.weight / total for name, scene in SCENES.items()}


def clip(
    seed: int, frames: int = 24, height: int = 64, width: int = 64, channels: int = 1, *, kind: str | None = None
) -> Pixels:
    """A clip (frames, height, width, channels) uint8 of a scene of a random kind, or of one `kind`.

    The same arguments give the same clip. Raises UsageError for a kind that there is not, or a clip without frames,
    without channels or of less than `SMALLEST` pixels a side.
    """
    if frames < 1 or channels < 1 or min(height, width) < SMALLEST:
        raise UsageError(
            f"a clip of {frames} frames of {height}x{width}x{channels} cannot be made; give at least 1 frame, "
            f"{SMALLEST}x{SMALLEST} pixels and 1 channel."
        )
    random = np.random.default_rng(seed)
    shares = kinds()
    drawn = str(random.choice(list(shares), p=list(shares.values())))
    if kind is not None and kind not in SCENES:
        raise UsageError(f"the kind of scene is {kind!r}; choose one of {', '.join(SCENES)}.")
    scene = SCENES[kind or drawn]
    rendered = round(height * scene.scale), round(width * scene.scale)
    canvas = Canvas(frames, *rendered, channels, scene.scale)
    return finish(random, scene.render(random, canvas), height, width)
