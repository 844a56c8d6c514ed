"""Members of networks, dressed with past errors as far as they lie closer together than their mean is in error.

A network spreads its members by what was uncertain in the videos that it learned from. A clip may hold what these did
not: rain that grows, a sensor's noise, leaves in the wind. So members are checked on the clip's own past, as the guard
checks a forecast: from a few origins of the input frames, N members forecast the input frames that follow. Their
variance explains a share of the squared error of their mean, and the rest is what past errors make up for:

    share² = 1 - mean over lead times of  (N + 1) / N variance / squared error of the mean            (within 0 and 1)
    member_i + (-1)^i share e_i            e_i: past errors of the mean (`past_errors.py`), one draw for two members

The signs leave the mean of the members as it is. Errors that are drawn from the clip's past are the ensemble dressing
of Roulston and Smith (2003, Tellus 55A, 16-30), whose share is the one with which spread and error agree (Wang and
Bishop 2005, Q. J. R. Meteorol. Soc. 131, 965-986).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.guard import WHOLE, origins_of
from convlstm_cli.scoring.past_errors import PastErrors

CHECKED = 8
"""Members of a hindcast."""


@dataclass(frozen=True)
class Dressing:
    """The past errors of the members of some clips, and their share."""

    origins: tuple[int, ...]
    """Numbers of input frames after which the rest of them was forecast."""
    errors: PastErrors
    """Of the members' mean."""
    share: Tensor
    """(B,), 0 to 1."""

    @classmethod
    def check(
        cls, models: Sequence[EncoderForecaster], frames: Tensor, compute: Compute, seed: int = 0
    ) -> "Dressing | None":
        """Checks the members of networks that read noise on their input; None for too few frames.

        Args:
            models: take turns to make the members.
            frames: (B, T, C, H, W) as for `forecast_members`.
            compute: device and precision.
            seed: of the members.
        """
        origins = origins_of(frames.shape[1])
        if not origins:
            return None
        config, known = models[0].config, models[0].known(frames)
        count = max(CHECKED, len(models))
        shown, mask = frames[:, :, : config.channels], frames[:, :, config.channels + config.inputs :]
        there = (mask > WHOLE).expand_as(shown).float() if mask.shape[2] else torch.ones_like(shown)
        fields, ratios = [], []
        for origin in origins:
            ahead = frames.shape[1] - origin
            future = None if known is None else known[:, origin : origin + ahead]
            members = forecast_members(models, frames[:, :origin], ahead, compute, future, members=count, seed=seed)
            error = (shown[:, origin:] - members.mean(dim=0)) * there[:, origin:]
            variance = members.var(dim=0, correction=1) * there[:, origin:]
            fields.append(error)
            ratios.append(torch.stack((variance, error.square())).mean(dim=(3, 4, 5)).cpu().double())
        return cls(origins, PastErrors.of(fields), _share(ratios, count))

    def resized(self, height: int, width: int) -> "Dressing":
        """The same for frames of another size."""
        if self.errors.fields[0].shape[-2:] == (height, width):
            return self
        fields = tuple(
            F.interpolate(field.flatten(0, 1), size=(height, width), mode="bilinear", align_corners=False).view(
                *field.shape[:3], height, width
            )
            for field in self.errors.fields
        )
        return Dressing(self.origins, PastErrors(fields, self.errors.scale), self.share)

    def add(self, piece: Tensor, member: int, seed: int, first: int = 0) -> Tensor:
        """A member's frames (B, n, C, H, W) in [0, 1] from lead time `first`, from 0, on, with its errors."""
        draw = self.errors.draw(seed, member // 2)
        sign = 1.0 if member % 2 == 0 else -1.0
        field = self.errors.at(draw, first, piece.shape[1]).to(piece)
        share = sign * self.share.to(piece).view(-1, 1, 1, 1, 1)
        return (piece + share * field).clamp_(0.0, 1.0)


def _share(ratios: list[Tensor], count: int) -> Tensor:
    """The share, (B,), from variance and squared error by lead time of each origin, (2, B, l)."""
    longest = max(each.shape[2] for each in ratios)
    sums = torch.zeros(2, ratios[0].shape[1], longest, dtype=torch.float64)
    for each in ratios:
        sums[:, :, : each.shape[2]] += each
    variance, error = sums
    explained = torch.where(error > 0, (count + 1) / count * variance / error, 1.0)
    return (1.0 - explained.mean(dim=1)).clamp(0.0, 1.0).sqrt()
