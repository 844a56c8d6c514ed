"""A loss by which every clip counts alike: the squared error over that of the best known frame.

With a loss relative to copying, clips that cannot be foreseen have the largest loss, and keep it. Their gradient
teaches the network to hedge by mixing in the last frame, in other clips too. The best known frame of such a clip has a
large error as well, so a loss relative to that gives it no more weight than others.
"""

import torch
from torch import Tensor

from convlstm_cli.training.losses import CHARBONNIER_SHARE, DISSIMILARITY_SHARE, charbonnier, dissimilarity

OVER_BEST = "over-best"
"""Its name for `--loss`."""
LEAST = 8e-6
"""Added to the squared error of the best known frame: smaller errors are mostly noise and the rounding to 8 bits."""
SHARE = 0.04
"""Its weight beside the shares of Charbonnier's penalty and of 1 - SSIM that `losses.sharp` has."""


def over_best(forecast: Tensor, truth: Tensor, last: Tensor, known: list[Tensor]) -> Tensor:
    """The squared error of each clip over that of the best of its known frames, with the other parts of `sharp`.

    Args:
        forecast: (B, T, C, H, W).
        truth: likewise.
        last: the last frame that was read, (B, 1, C, H, W).
        known: the frames that may be mixed, (B T, C, H, W) each.
    """
    errors = [(frame.view_as(truth) - truth).square().mean(dim=(1, 2, 3, 4)) for frame in known]
    best = torch.stack(errors).amin(dim=0) + LEAST
    over = ((forecast - truth).square().mean(dim=(1, 2, 3, 4)) / best).mean()
    return (
        SHARE * over
        + CHARBONNIER_SHARE * charbonnier(forecast, truth, last)
        + DISSIMILARITY_SHARE * dissimilarity(forecast, truth, last)
    )
