"""Baselines: forecasts that need no training, which a model has to beat.

A baseline is one entry of `BASELINES`, which evaluations, JSON, tables, charts, reports and sentences read.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.nn.motion import Advection
from convlstm_cli.registry import Registry
from convlstm_cli.video.colour import Frame, luminance
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
    stream: Callable[[Tensor, int, int], Iterator[Tensor]]
    """Maps frames (B, T, C, H, W) in [0, 1], T at least 1, a horizon and a number of frames n to the forecast in pieces
    of up to n frames, (B, n, C, H, W) in [0, 1] on the same device, each computed when it is asked for. A single frame
    shows no change and is copied."""
    drifts: bool = False
    """Whether it moves away from what was seen without end, so that its errors a few frames ahead say nothing of those
    further ahead."""

    def forecast(self, frames: Tensor, horizon: int) -> Tensor:
        """The whole forecast as one piece, (B, horizon, C, H, W)."""
        return next(self.stream(frames, horizon, horizon))


def persistence(frames: Tensor, horizon: int, chunk: int) -> Iterator[Tensor]:
    """Copies the last frame: views of one copy of it."""
    last = frames[:, -1:].clone()
    del frames  # a caller's piece or a waiting stream would keep all of them
    for _, steps in _pieces(horizon, chunk):
        yield last.expand(-1, steps, -1, -1, -1)


def linear_trend(frames: Tensor, horizon: int, chunk: int) -> Iterator[Tensor]:
    """Continues the straight line that fits each pixel's values best (ordinary least squares over all frames)."""
    times = torch.arange(frames.shape[1], dtype=torch.float64)
    centred = times - times.mean()
    by_time = centred / centred.square().sum().clamp(min=1e-12)  # 0 for a single frame, as `centred` is
    slope = torch.einsum("t,btchw->bchw", by_time.to(frames), frames)
    end = frames.mean(dim=1) + float(centred[-1]) * slope  # the line at the last frame
    del frames
    for first, steps in _pieces(horizon, chunk):
        ahead = torch.arange(first + 1, first + steps + 1).to(slope)
        yield (end[:, None] + ahead[:, None, None, None] * slope[:, None]).clamp_(0.0, 1.0)


def optical_flow(frames: Tensor, horizon: int, chunk: int) -> Iterator[Tensor]:
    """Moves the last frame along the motion of the last frames, which is assumed constant at each place.

    The motion is dense optical flow of the luminance (DIS, Kroeger et al. 2016), averaged over the last `PAIRS`
    pairs. The frame is moved by semi-Lagrangian backward advection (Germann and Zawadzki 2002), as `Dense` of
    rainymotion (Ayzel et al. 2019) and pysteps' extrapolation do: every position is traced back along the motion,
    with the midpoint rule, and the last frame is read there, so that interpolation blurs only once. Content that
    enters from outside is the frame's edge repeated.
    """
    if frames.shape[1] == 1:
        yield from persistence(frames, horizon, chunk)
        return
    last = frames[:, -1].cpu().double()  # (B, C, H, W); in float64 a place without motion is copied exactly
    motion = torch.stack([pair_motions(clip).mean(dim=0) for clip in frames[:, -PAIRS - 1 :].cpu()])  # (B, 2, H, W)
    like = frames.new_empty(0)  # its type and device
    del frames
    advection = Advection(last, motion, torch.zeros_like(motion), is_cubic=False)
    for _, steps in _pieces(horizon, chunk):
        seen = []
        for _ in range(steps):  # one at a time, since float64 takes twice the memory of the forecast
            moved, _, advection = advection.advance(1)
            seen.append(moved[:, :, 0].clamp_(0.0, 1.0).to(like))
        yield torch.cat(seen, dim=1)


BASELINES = Registry(
    "baseline",
    (
        Baseline("persistence", "copying the last frame", "copying the last frame", "copying", persistence),
        Baseline("linear_trend", "linear trend", "the linear trend", "trend", linear_trend, drifts=True),
        Baseline("optical_flow", "optical flow", "optical flow", "flow", optical_flow),
    ),
)
"""All baselines. Persistence is the one that a network is scored against while it is trained."""


def _pieces(horizon: int, chunk: int) -> Iterator[tuple[int, int]]:
    """The first lead time, from 0, and the number of frames of each piece of a forecast."""
    for first in range(0, horizon, chunk):
        yield first, min(chunk, horizon - first)


def pair_motions(clip: Tensor) -> Tensor:
    """Motion between successive frames of a clip (T, C, H, W) in [0, 1] on the CPU, by dense optical flow (DIS).

    Gives (T-1, 2, H, W) float64, in pixels a frame: to the right, then downwards.
    """
    pixels: Frame = (clip.float() * 255).round().byte().permute(0, 2, 3, 1).numpy()
    grey = luminance(pixels)[..., 0]  # (T, H, W)
    height, width = grey.shape[1:]
    missing = (max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width))
    grey = np.pad(grey, ((0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)  # whole pixels: the preset's half loses small things
    # Flow from each frame back to the one before, since the motion is needed at the places where things are now.
    back = [torch.from_numpy(dis.calc(now, before, None)) for before, now in itertools.pairwise(grey)]
    return -torch.stack(back).double()[:, :height, :width].permute(0, 3, 1, 2)
