"""Motion that differs from place to place, and textures that it carries."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.synthetic.canvas import Random, remap
from convlstm_cli.synthetic.paths import velocity
from convlstm_cli.synthetic.textures import noise

Flow = NDArray[np.float32]
"""(H, W, 2): displacements x, y in pixels."""


def uneven_flow(random: Random, height: int, width: int, side: int, pace: float = 1.0) -> Flow:
    """A smooth motion in pixels a step: one velocity, with eddies, shear or spread about it."""
    mean = velocity(random, side, pace)
    size = float(np.linalg.norm(mean))
    turbulence = random.uniform(0, 0.6) * max(size, 0.004 * side) * (random.random() < 0.85)
    scale = side * random.uniform(0.25, 1.2)
    parts = [noise(random, height, width, scale) * turbulence + part for part in mean]
    flow = np.stack(parts, axis=-1).astype(np.float32)
    if random.random() < 0.35:  # turns or spreads about a point
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = x - random.uniform(0, width), y - random.uniform(0, height)
        spread, turn = random.normal(0, 0.006), random.normal(0, 0.015)
        flow[..., 0] += spread * x - turn * y
        flow[..., 1] += spread * y + turn * x
    return flow


def displacements(flow: Flow, frames: int) -> list[Flow]:
    """How far away what is at each place after 0, 1, ... steps was at the beginning: add to a place to read there.

    A steady flow that is followed backwards (semi-Lagrangian), (H, W, 2) for each frame.
    """
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    before_x, before_y = x - flow[..., 0], y - flow[..., 1]
    found = [np.zeros_like(flow)]
    for _ in range(frames - 1):
        found.append(remap(found[-1], before_x, before_y) - flow)
    return found
