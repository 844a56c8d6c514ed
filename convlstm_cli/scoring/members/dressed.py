"""The dressed baseline: optical flow plus its past errors, drawn at random.

Roulston and Smith (2003, Tellus 55A, 16-30) dress a forecast with errors that it has made before. Here these come from
the clip's own input (`scoring/past_errors.py`).
"""

import torch
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guard import origins_of
from convlstm_cli.scoring.past_errors import PastErrors
from convlstm_cli.video.values import ValueRange


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
    errors = PastErrors.of([(frames[:, at:] - flow(frames[:, :at], seen - at)).float() for at in origins])
    members = [base + errors.at(errors.draw(seed, member), 0, horizon) for member in range(count)]
    return torch.stack(members).clamp_(0.0, 1.0)
