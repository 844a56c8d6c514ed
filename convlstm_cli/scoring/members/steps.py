"""STEPS, the probabilistic nowcast that radar services use, as pysteps computes it.

The last frame is moved along its motion while its details, sorted by size, are gradually replaced by noise that has the
frame's own spectrum (Bowler et al. 2006, Q. J. R. Meteorol. Soc. 132, 2127-2155; Seed et al. 2013, Water Resour. Res.
49, 6624-6641; Pulkkinen et al. 2019, Geosci. Model Dev. 12, 4185-4219). It is made for rain. What rain has and frames
have not in general is replaced so:

- Values are taken as the network sees them. STEPS wants rain in decibels, which radar pictures are in, and which
  logarithmic ranges of values are up to an offset. The lowest value of the clip is no rain.
- Motion is that of the baseline optical flow, so that both move the same way.
- The motion of a member is off by a random share along and across the motion that stays, as in Bowler et al. Their
  parameters are for kilometres and hours; here, the standard deviation is that of the motions of the last pairs of
  frames at each place.
- Areas whose origin lies outside the frame, which STEPS leaves without value, are as optical flow has them.

The rest is as pysteps has it: 6 levels of detail, autoregression of second order, noise from the frame's spectrum, a
mask of wet areas that grows by a pixel a frame, and values matched to the distribution of the last frame.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES, PAIRS, pair_motions
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.values import ValueRange

ORDER = 2
"""Order of the autoregression, which takes one more frame; from fewer frames it is lower."""
LEVELS = 6
"""Levels of detail, as pysteps recommends."""
LEAST_SIDE = 8
"""Pixels of the shorter side; smaller frames have too few wavelengths for the levels of detail."""
STEP = 0.5 / 255
"""What a value lies above the lowest at least to count as rain: half a step of 8 bits."""
LEAST_MOTION = 1e-3
"""Standard deviation of a member's motion in pixels a frame where the clip shows none."""

Nowcast = Callable[..., NDArray[np.float64]]


def check() -> None:
    """Raises DependencyError, which names what to install, where pysteps does not load."""
    _nowcast()


def steps(frames: Tensor, horizon: int, count: int, seed: int, *, values: ValueRange) -> Tensor:  # noqa: ARG001
    """Members of STEPS, as `Draw` describes; each channel by itself, with the same random numbers.

    They are all the same, optical flow itself, for a single frame, for frames of less than `LEAST_SIDE` pixels, and in
    channels that are constant or do not change.
    """
    nowcast = _nowcast()
    members = (
        BASELINES["optical_flow"].forecast(frames, horizon).float().expand(count, *_shape(frames, horizon)).clone()
    )
    if frames.shape[1] < 2 or min(frames.shape[-2:]) < LEAST_SIDE:
        return members
    for clip, seen in enumerate(frames.cpu()):
        motions = pair_motions(seen[-PAIRS - 1 :])
        for channel in range(frames.shape[2]):
            fields = seen[-ORDER - 1 :, channel].double().numpy()
            if _changes(fields):
                drawn = torch.from_numpy(_drawn(nowcast, fields, motions, horizon, count, seed)).to(members)
                kept = members[:, clip, :, channel]
                members[:, clip, :, channel] = torch.where(drawn.isfinite(), drawn, kept)
    return members.clamp_(0.0, 1.0)


def _shape(frames: Tensor, horizon: int) -> tuple[int, ...]:
    return (frames.shape[0], horizon, *frames.shape[2:])


def _changes(fields: NDArray[np.float64]) -> bool:
    """Whether successive fields (T, H, W) differ, and none is constant, which an autoregression needs."""
    return bool(np.ptp(fields, axis=(1, 2)).min() > 0 and np.abs(np.diff(fields, axis=0)).max(axis=(1, 2)).min() > 0)


def _drawn(
    nowcast: Nowcast, fields: NDArray[np.float64], motions: Tensor, horizon: int, count: int, seed: int
) -> NDArray[np.float64]:
    """The members of one channel, (N, horizon, H, W), NaN where STEPS has no value."""
    apart = max(LEAST_MOTION, _uncertainty(motions))
    constant = (0.0, 1.0, apart * 60.0)  # of a t^b + c in km/h: pixels are km and frames minutes here
    with _quiet():
        return nowcast(
            fields,
            motions.mean(dim=0).numpy(),
            horizon,
            n_ens_members=count,
            n_cascade_levels=LEVELS,
            precip_thr=float(fields.min()) + STEP,
            kmperpixel=1.0,
            timestep=1.0,
            vel_pert_kwargs={"p_par": constant, "p_perp": constant},
            ar_order=len(fields) - 1,
            seed=seed % 2**32,
        )


def _uncertainty(motions: Tensor) -> float:
    """Standard deviation of the motions of pairs of frames (P, 2, H, W) at a place, a component, in pixels a frame."""
    return 0.0 if len(motions) < 2 else float(motions.var(dim=0).mean().sqrt())


def _nowcast() -> Nowcast:
    with _quiet():
        pysteps: Any = load_extra("pysteps", "steps", "--baseline steps", "computed")
        found: Nowcast = pysteps.nowcasts.get_method("steps")
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """pysteps prints what it does, and seeds numpy's common generator, which is put back."""
    state = np.random.get_state()  # noqa: NPY002 - it is this one that pysteps seeds
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
