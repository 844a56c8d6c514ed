"""From the forecaster's hidden states to frames: a 1x1 convolution, and what its channels mean."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlstm_cli.nn.config import NOISE_PIXELS, ForecasterConfig
from convlstm_cli.nn.kinds import HEADS
from convlstm_cli.nn.refinement import Refinement

START = {"moved medium": 7.0, "blurred": 4.0, "last": 5.0}
"""Initial logits of the known frames in a mix, against 0 of the new one. So training starts near the moved frame, and
the first lead time as sharp as what was seen: where hardly anything moves, more of a new frame is a large error, and
where much does, more of the last one."""
JUDGED = {
    **{"moved coarse": 6.9, "moved fine": 6.8, "moved latest": 6.3},
    **{"splatted coarse": 6.2, "splatted fine": 6.9, "splatted latest": 6.9},
    **{"blurred": 8.3, "last": 7.8},
}
"""Initial logits of the known frames where their weights also follow from past errors. They were fitted to made-up
clips together with `refinement.JUDGEMENT`."""


class Head(nn.Module):
    """Reads frames out of all hidden states of the forecaster, concatenated (Shi et al. 2015, section 3.2).

    By `config.head`, at every pixel and lead time:

        sigmoid     frame = σ(new), as in the paper
        residual    frame = known + new
        mix         frame = w_1 known_1 + w_2 known_2 + ... + w σ(new); the weights w are a softmax
        refined     a mix, whose weights and new frame come from a thin stage at full resolution (`refinement.py`)
        motions     the same with the last frame moved on and splatted along several motions, of which the first is
                    shifted by a learned displacement; the logits of the weights fall with the logarithms of the errors
                    that the known frames had in the past

    where `new` and the logits of the weights are the convolution's channels after depth-to-space. Known frames are the
    last one and, where the forecaster sees it, the last one moved on along its motion (the one that `residual`
    takes), or splatted along it (`motion/advection.py`), and the moved one blurred; so a mix can keep what stands
    still, move what moves, blur what it is less sure of, and put in what none of them shows.
    """

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        self.conv = nn.Conv2d(sum(config.hidden), config.head_channels, kernel_size=1)
        self.refinement: Refinement | None = None
        kind = HEADS[config.head]
        if kind.refines:
            start = JUDGED if config.past_channels else START
            logits = [start[name] for name in config.known_frames]
            self.refinement = Refinement(
                config.channels,
                logits,
                steered=kind.steers,
                noise=NOISE_PIXELS * config.noise,
                past=config.past_channels,
                judged=[config.past_frames.index(name) for name in config.judged_by],
            )
        with torch.no_grad():
            self.conv.bias.zero_()  # type: ignore[union-attr]
            if config.head == "residual":
                # Training starts at the forecast that is known, the baseline to beat.
                self.conv.weight.zero_()
            if config.head == "mix":
                self.conv.weight[config.patch_channels :] = 0.0
                logits = [value for name in config.known_frames for value in [START[name]] * config.patch_size**2]
                self.conv.bias[config.patch_channels :] = torch.tensor(logits)  # type: ignore[index]

    def forward(
        self, hidden: Tensor, known: list[Tensor], noise: Tensor | None = None, past: Tensor | None = None
    ) -> Tensor:
        """Frames (B, T, C, H, W).

        In [0, 1], but that a residual may lie outside in training mode, so that its gradient does not vanish there.

        Args:
            hidden: (B, T, sum of hidden channels, H/p, W/p).
            known: the configuration's `known_frames`, each (B, T or 1, C, H, W) in [0, 1].
            noise: fields of noise, (B, T, NOISE_PIXELS, H, W), where the configuration has noise.
            past: logarithms of the errors of the known frames in the past, (B, T, past_channels, H, W), where the
                configuration has them.
        """
        pixels = F.pixel_shuffle(self.conv(hidden.flatten(0, 1)), self.config.patch_size)
        if self.refinement is not None:
            shape = hidden.shape[:2]
            flat = [frame.expand(*shape, -1, -1, -1).flatten(0, 1) for frame in known]
            beside = [None if each is None else each.flatten(0, 1) for each in (noise, past)]
            pixels, flat = self.refinement(pixels, flat, *beside)
            known = [frame.unflatten(0, shape) for frame in flat]
        pixels = pixels.view(*hidden.shape[:2], *pixels.shape[1:])  # (B, T, channels + known, H, W)
        # Parts of a split, whose gradients are put together once; that of each slice would be as large as the whole.
        channels = self.config.channels
        new, logits = torch.split(pixels, [channels, pixels.shape[2] - channels], dim=2)
        if self.config.head == "sigmoid":
            return torch.sigmoid(new)
        if self.config.head == "residual":
            frames = known[0] + new
            return frames if self.training else frames.clamp(0.0, 1.0)
        # The new frame's logit is 0: only differences count in a softmax.
        *weights, own = torch.split(torch.softmax(F.pad(logits, (0, 0, 0, 0, 0, 1)), dim=2), 1, dim=2)
        frames = own * torch.sigmoid(new)
        for weight, frame in zip(weights, known, strict=True):
            frames = frames + weight * frame
        return frames
