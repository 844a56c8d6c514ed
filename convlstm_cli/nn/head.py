"""From the forecaster's hidden states to frames: a 1x1 convolution, and what its channels mean."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlstm_cli.nn.config import ForecasterConfig

START = 5.0
"""Initial logit of the known frames in a mix, against 0 of the new one, so that training starts near them: where hardly
anything moves, less of a new frame than this is a large error."""


class Head(nn.Module):
    """Reads frames out of all hidden states of the forecaster, concatenated (Shi et al. 2015, section 3.2).

    By `config.head`, at every pixel and lead time:

        sigmoid     frame = σ(new), as in the paper
        residual    frame = known + new
        mix         frame = w_1 known_1 + w_2 known_2 + ... + w σ(new); the weights w are a softmax

    where `new` and the logits of the weights are the convolution's channels after depth-to-space. Known frames are the
    last one and, where the forecaster sees it, the last one moved on along its motion (the one that `residual`
    takes); so a mix can keep what stands still, move what moves, and put in what neither shows.
    """

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        self.conv = nn.Conv2d(sum(config.hidden), config.head_channels, kernel_size=1)
        with torch.no_grad():
            self.conv.bias.zero_()  # type: ignore[union-attr]
            if config.head == "residual":
                # Training starts at the forecast that is known, the baseline to beat.
                self.conv.weight.zero_()
            if config.head == "mix":
                logits = slice(config.patch_channels, None)
                self.conv.weight[logits] = 0.0
                self.conv.bias[logits] = START  # type: ignore[index]

    def forward(self, hidden: Tensor, known: list[Tensor]) -> Tensor:
        """Frames (B, T, C, H, W).

        In [0, 1], but that a residual may lie outside in training mode, so that its gradient does not vanish there.

        Args:
            hidden: (B, T, sum of hidden channels, H/p, W/p).
            known: `known_frames` tensors (B, T or 1, C, H, W) in [0, 1].
        """
        pixels = F.pixel_shuffle(self.conv(hidden.flatten(0, 1)), self.config.patch_size)
        pixels = pixels.view(*hidden.shape[:2], *pixels.shape[1:])  # (B, T, channels + known, H, W)
        new, logits = pixels[:, :, : self.config.channels], pixels[:, :, self.config.channels :]
        if self.config.head == "sigmoid":
            return torch.sigmoid(new)
        if self.config.head == "residual":
            frames = known[0] + new
            return frames if self.training else frames.clamp(0.0, 1.0)
        # The new frame's logit is 0: only differences count in a softmax.
        weights = torch.softmax(F.pad(logits, (0, 0, 0, 0, 0, 1)), dim=2)  # (B, T, known + 1, H, W)
        frames = weights[:, :, -1:] * torch.sigmoid(new)
        for index, frame in enumerate(known):
            frames = frames + weights[:, :, index : index + 1] * frame
        return frames
