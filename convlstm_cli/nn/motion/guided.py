"""The smoothing of a motion, which follows what the frame shows."""

import torch
from torch import Tensor

from convlstm_cli.nn.motion.gaussian import blur

LEAST_TRUST = 0.02
"""Weight of a pixel without structure, over that of one with much."""
STRUCTURE = 10.0
"""Squared derivatives at which a pixel's weight is half of the most, over the damping of the search."""
CONTRAST = 0.01
"""Variance of brightness in a window, in squared pixel values, from which on a motion follows the brightness."""


def trust(squares: Tensor, damping: float) -> Tensor:
    """How much the motion found at each pixel counts, in (0, 1 + `LEAST_TRUST`), by its own squared derivatives."""
    return LEAST_TRUST + squares / (squares + STRUCTURE * damping)


def smooth(flow: Tensor, weight: Tensor, frame: Tensor, sigma: float) -> Tensor:
    """A motion under the guided filter of a frame (He, Sun and Tang 2013, IEEE TPAMI 35, equations 5, 6 and 8).

    In the window around each pixel the motion is taken to be a linear function a I + b of the brightness I, fitted by
    least squares to the window's motion; a pixel has the mean of the lines of all windows that it lies in. So a thing
    keeps its motion to its edge where it differs in brightness from what is behind it, and what has no structure takes
    the motion of what looks like it nearby. Windows are Gaussian, and each pixel and each window counts by its weight.

    Args:
        flow: (B, 2, H, W).
        weight: (B, 1, H, W), above 0.
        frame: (B, 1, H, W) in [0, 1].
        sigma: of the windows, in pixels.

    Returns:
        (B, 2, H, W).
    """
    shaded = weight * frame
    sums = blur(torch.cat((weight, shaded, shaded * frame, weight * flow, shaded * flow), dim=1), sigma)
    total, means = sums[:, :1], sums[:, 1:] / sums[:, :1]
    brightness, motion = means[:, :1], means[:, 2:4]
    variance = (means[:, 1:2] - brightness.square()).clamp(min=0.0)
    slope = (means[:, 4:] - brightness * motion) / (variance + CONTRAST)
    lines = blur(torch.cat((total, total * slope, total * (motion - slope * brightness)), dim=1), sigma)
    return (lines[:, 1:3] * frame + lines[:, 3:]) / lines[:, :1]
