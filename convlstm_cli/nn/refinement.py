"""A thin stage at full resolution between the hidden states and a mix of known frames.

The 1x1 convolution of a plain mix decides for each patch's pixels apart from those of the next patch, so the patch grid
shows in its forecasts, and it cannot see where in the known frames the edges lie. Here two 3x3 convolutions see the
known frames beside what the hidden states say.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlstm_cli.nn.config import REFINED_FEATURES, REFINED_WIDTH
from convlstm_cli.nn.motion import sample

FARTHEST = 4.0
"""Pixels by which the moved frame is shifted at most where the motion is steered."""

JUDGEMENT = (1.9, 2.7)
"""Powers of past errors, for each of `LOOKBACKS`, with which the weights of known frames fall at first."""


class Refinement(nn.Module):
    """From features and known frames, at each pixel, to a new frame and the logits of the known ones.

    Args:
        channels: C of a frame.
        logits: the initial logit of each known frame.
        steered: the first known frame is shifted by a learned displacement before it is mixed.
        noise: fields of noise that are seen beside the known frames.
        past: fields that say how right known frames were in the past: as many for each lookback.
        judged: for each known frame, which of these says how right it is; needed where there are any.
    """

    def __init__(
        self,
        channels: int,
        logits: list[float],
        *,
        steered: bool,
        noise: int = 0,
        past: int = 0,
        judged: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.channels, self.steered = channels, steered
        known = len(logits)
        self.see = nn.Conv2d(REFINED_FEATURES + known * channels + past + noise, REFINED_WIDTH, 3, padding=1)
        self.say = nn.Conv2d(REFINED_WIDTH, channels + known + 2 * steered, 3, padding=1)
        with torch.no_grad():
            assert self.say.bias is not None
            self.say.weight[channels:] = 0.0  # begins as a plain mix does
            self.say.bias.zero_()
            self.say.bias[channels : channels + known] = torch.tensor(logits)
        self.judge: nn.Conv2d | None = None
        if past:
            self.judge = nn.Conv2d(past, known, 1, bias=False)
            with torch.no_grad():
                first = REFINED_FEATURES + known * channels
                self.see.weight[:, first : first + past] = 0.0  # at first the past acts through the judgement alone
                # As a list, since torch loads sympy to make a matrix on the meta device.
                fields = range(past // len(JUDGEMENT))
                own = [[-power * (one == other) for power in JUDGEMENT for other in fields] for one in judged]
                self.judge.weight[:, :, 0, 0] = torch.tensor(own)

    def forward(
        self, features: Tensor, known: list[Tensor], noise: Tensor | None = None, past: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """A new frame before σ with the logits, (N, C + known, H, W), and the known frames to be mixed.

        Args:
            features: (N, REFINED_FEATURES, H, W).
            known: frames (N, C, H, W), the one that may be steered first.
            noise: its fields, (N, noise, H, W), where the stage reads any.
            past: logarithms of errors, (N, past, H, W), for each lookback those of the frames that have any.
        """
        errors = None if past is None else past / 4.0 + 1.0  # of the size of the other parts
        parts = [part for part in (features, *known, errors, noise) if part is not None]
        seen = F.relu(self.see(torch.cat(parts, dim=1)))
        said = self.say(seen)
        if self.judge is not None and past is not None:
            # What all known frames share says nothing about one against another, and the new frame has no past.
            each = past.unflatten(1, (len(JUDGEMENT), -1))  # type: ignore[no-untyped-call]
            judged = self.judge((each - each.mean(dim=2, keepdim=True)).flatten(1, 2))
            said = said + F.pad(judged, (0, 0, 0, 0, self.channels, said.shape[1] - self.channels - len(known)))
        if not self.steered:
            return said, known
        said, steer = torch.split(said, [said.shape[1] - 2, 2], dim=1)
        shifted = sample(known[0], FARTHEST * torch.tanh(steer.float() / FARTHEST))
        return said, [shifted, *known[1:]]
