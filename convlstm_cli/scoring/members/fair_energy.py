"""The energy score of members, which compares whole frames rather than pixels."""

import math

import torch
from torch import Tensor


def fair_energy(members: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """The fair energy score of each frame, in the unit of the values (Gneiting & Raftery 2007, eq. 22).

        ES = 1/N Σ_i |x_i - y| - 1/(2 N (N - 1)) Σ_i Σ_j |x_i - x_j|

    It is the CRPS with distances of frames for those of numbers, so it also sees whether the pixels of a member belong
    together. |.| is the Euclidean norm over the channels and pixels that have a truth, over the square root of their
    number (the root mean square), so that scores of frames of different sizes compare. The score of a single forecast
    is its root mean squared error. Pairs are weighed for a finite ensemble as in `fair_crps`.

    Args:
        members: x, (N, B, C, H, W).
        truth: y, (B, C, H, W).
        valid: where there is a truth, bool like `truth`; None is everywhere.

    Returns:
        (B,); 0 for a frame without any truth.
    """
    count = len(members)
    together = torch.cat((truth[None], members))
    if valid is not None:
        together = together * valid
    frames = together.flatten(2).transpose(0, 1)  # (B, 1 + N, values of a frame)
    size = frames.shape[-1] if valid is None else valid.flatten(1).sum(dim=1).clamp(min=1)[:, None, None]
    # Differences of squares would lose the digits of small distances, which is what cdist does unless it is asked not.
    distances = torch.cdist(frames, frames, compute_mode="donot_use_mm_for_euclid_dist")
    distances = distances / (math.sqrt(size) if isinstance(size, int) else size.sqrt())  # (B, 1 + N, 1 + N)
    error = distances[:, 0, 1:].mean(dim=1)
    if count == 1:
        return error
    return error - distances[:, 1:, 1:].sum(dim=(1, 2)) / (2 * count * (count - 1))
