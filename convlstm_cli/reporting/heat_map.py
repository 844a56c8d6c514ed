"""Values of both signs as a picture."""

from collections.abc import Sequence

import matplotlib
import numpy as np

from convlstm_cli.reporting.pictures import Image

COLOUR_MAP = "RdBu_r"
"""Diverging, and readable by the colour-blind."""


def heat_map(values: Sequence[Sequence[float]], limit: float) -> Image:
    """Values (H, W) from -limit to limit as a picture (H, W, 3)."""
    shares = np.clip(np.asarray(values, np.float64) / (2 * limit) + 0.5, 0.0, 1.0)
    return np.asarray(matplotlib.colormaps[COLOUR_MAP](shares, bytes=True)[..., :3], np.uint8)
