"""A loss that asks every clip for the same: to be better than the best of its known frames.

Losses relative to copying count a clip the more the less can be foreseen of it, because an error that nothing lowers is
still there after all has been learned. Most of what a network then learns is to hedge, and it hedges where it need not.
Over the error of the best frame that it could simply take, what can be foreseen counts as much as what cannot.
"""

import torch
from torch import Tensor

from convlstm_cli.training.losses import CHARBONNIER_SHARE, DISSIMILARITY_SHARE, charbonnier, dissimilarity

OVER_BEST = "over-best"
"""Its name for `--loss`."""
LEAST = 8e-6
"""Added to the squared error of the best known frame, of which less is mostly the rounding to 8 bits and noise."""
SHARE = 0.06
"""Its weight beside the shares of Charbonnier's penalty and of 1 - SSIM that `losses.sharp` has."""


def over_best(forecast: Tensor, truth: Tensor, last: Tensor, known: list[Tensor]) -> Tensor:
    """The squared error of each clip over that of the best of its known frames, with the other parts of `sharp`.

    It is the logarithm of that ratio: a clip whose best known frame is nearly exact would else outweigh all others.

    Args:
        forecast: (B, T, C, H, W).
        truth: likewise.
        last: the last frame that was read, (B, 1, C, H, W).
        known: the frames that may be mixed, (B T, C, H, W) each.
    """
    errors = [(frame.view_as(truth) - truth).square().mean(dim=(1, 2, 3, 4)) for frame in known]
    best = torch.stack(errors).amin(dim=0) + LEAST
    over = (((forecast - truth).square().mean(dim=(1, 2, 3, 4)) + LEAST) / best).log().mean()
    return (
        SHARE * over
        + CHARBONNIER_SHARE * charbonnier(forecast, truth, last)
        + DISSIMILARITY_SHARE * dissimilarity(forecast, truth, last)
    )
