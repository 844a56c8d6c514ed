"""The dressed baseline: optical flow plus its past errors, drawn at random.

Roulston and Smith (2003, Tellus 55A, 16-30) dress a forecast with errors that it has made before. Here these come from
the clip's own input: from the origins of the guard (guard.py), optical flow forecasts the input frames that follow, and
the differences from these are the errors. A member

- draws one origin, and takes its errors as whole fields in their order, so that they depend on each other in space and
  time as errors do;
- moves these fields by a few pixels, since a handful of origins gives no more than as many members, and since an error
  is known to lie near a place and not at it;
- goes on from the last field, of lead time l, by the growth of the errors: s_m / s_l at lead time m, with s the root
  mean squared error over the origins, extrapolated as the guard does.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guard import extrapolated, origins_of
from convlstm_cli.video.values import ValueRange

SHIFT = 1 / 32
"""Standard deviation of the shifts of error fields, as a share of the frame's shorter side: 2 pixels of 64. CRPS on
radar, road and sign language changes by 6 % at most between half and twice as much."""
MOST = 3
"""Largest shift, in standard deviations."""


@dataclass(frozen=True)
class _Draw:
    """What one member draws."""

    hindcast: int
    """Position of its origin."""
    down: int
    right: int
    """Shift of the error fields in pixels."""


def dressed(frames: Tensor, horizon: int, count: int, seed: int, *, values: ValueRange) -> Tensor:  # noqa: ARG001
    """Members of optical flow with past errors, as `Draw` describes.

    They are all the same, optical flow itself, for fewer than 4 input frames, which leave no frame to check it on.
    """
    flow = BASELINES["optical_flow"].forecast
    base = flow(frames, horizon).float()  # (B, T, C, H, W)
    seen = frames.shape[1]
    origins = origins_of(seen)
    if not origins:
        return base.expand(count, *base.shape).clone()
    past = [(frames[:, origin:] - flow(frames[:, :origin], seen - origin)).float() for origin in origins]
    scale = _scale(past, horizon)
    errors = [_continued(field, scale, horizon) for field in past]
    reach = _reach(frames)
    draws = _draws(len(errors), reach, count, seed)
    return torch.stack([base + _shifted(errors[draw.hindcast], draw, reach) for draw in draws]).clamp_(0.0, 1.0)


def _scale(past: list[Tensor], horizon: int) -> Tensor:
    """Root mean squared error over the hindcasts by lead time, (B, horizon) float64 on the CPU."""
    longest = max(field.shape[1] for field in past)
    squares = [field.square().mean(dim=(2, 3, 4)).cpu().double() for field in past]
    pooled = [torch.stack([each[:, lead] for each in squares if each.shape[1] > lead]) for lead in range(longest)]
    mse = torch.stack([each.mean(dim=0) for each in pooled], dim=1)  # (B, L)
    known = extrapolated(mse[..., None, None])[..., 0, 0].sqrt()
    return known[:, torch.arange(horizon).clamp(max=known.shape[1] - 1)]


def _continued(field: Tensor, scale: Tensor, horizon: int) -> Tensor:
    """The errors of one hindcast, (B, l, C, H, W), at `horizon` lead times."""
    leads = field.shape[1]
    if leads >= horizon:
        return field[:, :horizon]
    last = scale[:, leads - 1, None]
    growth = torch.where(last > 0, scale[:, leads:] / last, 1.0).to(field)  # (B, horizon - l)
    return torch.cat((field, field[:, -1:] * growth[..., None, None, None]), dim=1)


def _reach(frames: Tensor) -> int:
    """The largest shift in pixels."""
    return round(MOST * SHIFT * min(frames.shape[-2:]))


def _draws(hindcasts: int, reach: int, count: int, seed: int) -> list[_Draw]:
    """What the members draw, one after another, so that a member does not depend on those after it."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        hindcast = int(generator.integers(hindcasts))
        down, right = np.rint(generator.normal(0.0, reach / MOST, 2)).clip(-reach, reach).astype(int).tolist()
        drawn.append(_Draw(hindcast, down, right))
    return drawn


def _shifted(errors: Tensor, draw: _Draw, reach: int) -> Tensor:
    """Error fields (B, T, C, H, W), moved, and reflected at the frame's edge."""
    height, width = errors.shape[-2:]
    padded = F.pad(errors.flatten(0, 1), (reach, reach, reach, reach), mode="reflect")
    top, left = reach - draw.down, reach - draw.right
    return padded[..., top : top + height, left : left + width].view_as(errors)
