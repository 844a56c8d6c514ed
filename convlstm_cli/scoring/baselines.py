"""Baselines: forecasts that need no training, which a model has to beat.

A baseline is one entry of `BASELINES`, which evaluations, JSON, tables, charts, reports and sentences read.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.nn.motion import Advection
from convlstm_cli.registry import Registry
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.opencv import cv2

PAIRS = 3
"""Pairs of successive frames, at the end of the input, whose motion is averaged."""
LEAST_SIDE = 12
"""Pixels that OpenCV's DIS needs; smaller frames are extended by their edges."""


@dataclass(frozen=True)
class Baseline:
    """A baseline, and what it is called."""

    name: str
    """In files."""
    label: str
    """In legends of charts."""
    phrase: str
    """In sentences."""
    heading: str
    """Above columns of tables and above frames: one short word."""
    forecast: Callable[[Tensor, int], Tensor]
    """Maps frames (B, T, C, H, W) in [0, 1], T at least 1, and a horizon to (B, horizon, C, H, W) in [0, 1] on the
    same device. A single frame shows no change and is copied."""


def persistence(frames: Tensor, horizon: int) -> Tensor:
    """Copies the last frame: a view of it, which takes no memory."""
    return frames[:, -1:].expand(-1, horizon, -1, -1, -1)


def linear_trend(frames: Tensor, horizon: int) -> Tensor:
    """Continues the straight line that fits each pixel's values best (ordinary least squares over all frames)."""
    times = torch.arange(frames.shape[1], dtype=torch.float64)
    ahead = times[-1] + torch.arange(1, horizon + 1)
    centred = times - times.mean()
    slope = centred / centred.square().sum().clamp(min=1e-12)  # 0 for a single frame, as `centred` is
    weights = 1 / len(times) + (ahead - times.mean())[:, None] * slope  # (horizon, T); each row has sum 1
    line = torch.einsum("lt,btchw->blchw", weights.to(frames), frames)
    return line.clamp(0.0, 1.0)


def optical_flow(frames: Tensor, horizon: int) -> Tensor:
    """Moves the last frame along the motion of the last frames, which is assumed constant at each place.

    The motion is dense optical flow of the luminance (DIS, Kroeger et al. 2016), averaged over the last `PAIRS`
    pairs. The frame is moved by semi-Lagrangian backward advection (Germann and Zawadzki 2002), as `Dense` of
    rainymotion (Ayzel et al. 2019) and pysteps' extrapolation do: every position is traced back along the motion,
    with the midpoint rule, and the last frame is read there, so that interpolation blurs only once. Content that
    enters from outside is the frame's edge repeated.
    """
    if frames.shape[1] == 1:
        return persistence(frames, horizon)
    last = frames[:, -1].cpu().double()  # (B, C, H, W); in float64 a place without motion is copied exactly
    motion = torch.stack([_motion(clip) for clip in frames[:, -PAIRS - 1 :].cpu()])  # (B, 2, H, W)
    forecast, _ = Advection(last, motion, torch.zeros_like(motion)).advance(horizon)
    return forecast.clamp(0.0, 1.0).to(frames)


BASELINES = Registry(
    "baseline",
    (
        Baseline("persistence", "copying the last frame", "copying the last frame", "copying", persistence),
        Baseline("linear_trend", "linear trend", "the linear trend", "trend", linear_trend),
        Baseline("optical_flow", "optical flow", "optical flow", "flow", optical_flow),
    ),
)
"""All baselines. Persistence is the one that a network is scored against while it is trained."""


def _motion(clip: Tensor) -> Tensor:
    """Motion of a clip (T, C, H, W), to the right and downwards, in pixels a frame: (2, H, W) float64."""
    pixels: Frame = (clip.float() * 255).round().byte().permute(0, 2, 3, 1).numpy()
    grey = to_channels(pixels, 1)[..., 0]  # (T, H, W)
    height, width = grey.shape[1:]
    missing = (max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width))
    grey = np.pad(grey, ((0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)  # whole pixels: the preset's half loses small things
    # Flow from each frame back to the one before, since the motion is needed at the places where things are now.
    back = [torch.from_numpy(dis.calc(now, before, None)) for before, now in itertools.pairwise(grey)]
    mean = torch.stack(back).double().mean(dim=0)  # (H, W, 2)
    return -mean[:height, :width].permute(2, 0, 1)
