"""A loss by which every clip counts alike: the logarithm of the squared error over that of the best known frame.

With a loss relative to copying, clips that cannot be foreseen have the largest loss, and keep it. Their gradient
teaches the network to hedge by mixing in the last frame, in other clips too. The best known frame of such a clip has a
large error as well, so a loss relative to that gives it no more weight than others.

The logarithm keeps a few clips of which the network is far off from deciding the step: of batches of 12 clips, the
gradient of the kernels has 0.04 to 0.11 of its size in common with that of all clips by `sharp`, 0.10 to 0.25 by the
ratio itself and 0.19 to 0.33 by its logarithm.
"""

import torch
from torch import Tensor

from convlstm_cli.training.losses import CHARBONNIER_SHARE, DISSIMILARITY_SHARE, charbonnier, dissimilarity

OVER_BEST = "over-best"
"""Its name for `--loss`."""
LEAST = 2e-5
"""Added to both squared errors: smaller ones are mostly noise and the rounding to 8 bits."""
SHARE = 0.04
"""Its weight beside the shares of Charbonnier's penalty and of 1 - SSIM that `losses.sharp` has."""


def over_best(forecast: Tensor, truth: Tensor, last: Tensor, known: list[Tensor]) -> Tensor:
    """The logarithm of the squared error of each clip over that of its best known frame, with other parts of `sharp`.

    Args:
        forecast: (B, T, C, H, W).
        truth: likewise.
        last: the last frame that was read, (B, 1, C, H, W).
        known: the frames that may be mixed, (B T, C, H, W) each.
    """
    best = torch.stack([_squares(frame.view_as(truth), truth) for frame in known]).amin(dim=0)
    over = ((_squares(forecast, truth) + LEAST) / (best + LEAST)).log().mean()
    return (
        SHARE * over
        + CHARBONNIER_SHARE * charbonnier(forecast, truth, last)
        + DISSIMILARITY_SHARE * dissimilarity(forecast, truth, last)
    )


def _squares(one: Tensor, other: Tensor) -> Tensor:
    """Squared error of each clip, (B,)."""
    return (one - other).square().mean(dim=(1, 2, 3, 4))
