"""Errors that a forecast has made on a clip's own past, as fields that may be drawn to be added to its future.

From each of a few origins of the input frames (`guard.origins_of`), the input frames that follow are forecast (a
hindcast), and the differences from these are the errors. What is drawn is

- one origin, whose errors are taken as whole fields in their order, so that they depend on each other in space and time
  as errors do;
- a shift of these fields by a few pixels, since a handful of origins gives no more than as many members, and since an
  error is known to lie near a place and not at it.

Beyond the last field, of lead time l, the errors grow by s_m / s_l up to lead time m, with s the root mean squared
error over the origins, extrapolated as the guard does.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.scoring.guard import extrapolated

SHIFT = 1 / 32
"""Standard deviation of the shifts of error fields, as a share of the frame's shorter side: 2 pixels of 64. CRPS on
radar, road and sign language changes by 6 % at most between half and twice as much."""
MOST = 3
"""Largest shift, in standard deviations."""


@dataclass(frozen=True)
class Draw:
    """What is drawn for one member."""

    hindcast: int
    """Position of its origin."""
    down: int
    right: int
    """Shift of the error fields in pixels."""


@dataclass(frozen=True)
class PastErrors:
    """The errors of the hindcasts of some clips."""

    fields: tuple[Tensor, ...]
    """(B, l, C, h, w) for each origin, with l the lead times of its hindcast."""
    scale: Tensor
    """Root mean squared error over the hindcasts by lead time, (B, L) float64 on the CPU, extrapolated; at later lead
    times it stays as it is."""
    size: tuple[int, int]
    """Height and width, H and W, of the frames that errors are drawn for. Fields of another size are brought to it by
    linear interpolation when they are asked for, so that no more of them is held than what was found."""

    @classmethod
    def of(cls, fields: list[Tensor]) -> "PastErrors":
        """The errors of hindcasts from several origins; `fields` as the attribute has them."""
        longest = max(field.shape[1] for field in fields)
        squares = [field.square().mean(dim=(2, 3, 4)).cpu().double() for field in fields]
        pooled = [torch.stack([each[:, lead] for each in squares if each.shape[1] > lead]) for lead in range(longest)]
        mse = torch.stack([each.mean(dim=0) for each in pooled], dim=1)  # (B, longest)
        height, width = fields[0].shape[-2:]
        return cls(tuple(fields), extrapolated(mse[..., None, None])[..., 0, 0].sqrt(), (height, width))

    def resized(self, height: int, width: int) -> "PastErrors":
        """The same for frames of another size."""
        return replace(self, size=(height, width))

    @property
    def reach(self) -> int:
        """The largest shift in pixels."""
        height, width = self.size
        return min(round(MOST * SHIFT * min(height, width)), min(height, width) - 1)

    def draw(self, *numbers: int) -> Draw:
        """What is drawn for a member: it depends on some numbers alone, such as a seed and the number of the member."""
        random = np.random.default_rng(numbers)
        hindcast = int(random.integers(len(self.fields)))
        reach = self.reach
        down, right = np.rint(random.normal(0.0, reach / MOST, 2)).clip(-reach, reach).astype(int).tolist()
        return Draw(hindcast, down, right)

    def at(self, draw: Draw, first: int, steps: int) -> Tensor:
        """The errors of a draw at `steps` lead times from `first` on, from 0: (B, steps, C, H, W)."""
        field = self.fields[draw.hindcast]
        last = field.shape[1] - 1
        leads = torch.arange(first, first + steps)
        scale = self.scale[:, leads.clamp(max=self.scale.shape[1] - 1)]
        beside = self.scale[:, last, None]
        growth = torch.where((leads > last) & (beside > 0), scale / beside, 1.0).to(field)  # (B, steps)
        seen = leads.clamp(max=last)
        near = self._enlarged(field[:, seen[0] : seen[-1] + 1])
        grown = near[:, (seen - seen[0]).to(field.device)] * growth[..., None, None, None]
        (height, width), reach = self.size, self.reach
        padded = F.pad(grown.flatten(0, 1), (reach, reach, reach, reach), mode="reflect")
        top, left = reach - draw.down, reach - draw.right
        return padded[..., top : top + height, left : left + width].unflatten(0, grown.shape[:2])  # type: ignore[no-untyped-call,no-any-return]

    def _enlarged(self, field: Tensor) -> Tensor:
        """A field (B, n, C, h, w) at the size of the frames, (B, n, C, H, W)."""
        if field.shape[-2:] == self.size:
            return field
        sized = F.interpolate(field.flatten(0, 1), size=self.size, mode="bilinear", align_corners=False)
        return sized.unflatten(0, field.shape[:2])  # type: ignore[no-untyped-call,no-any-return]
