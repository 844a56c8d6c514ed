"""The spread of members, calibrated on clips that were not trained on.

Members of a network that was trained on some videos lie too close together on others, whose future it knows less well.
The amplitude of their noise is a monotone map of their spread, one factor for each lead time (`noise_scale` of
`EncoderForecaster`), and keeps what members look like. It is fitted so that on average, over the pixels of all clips,

    (N + 1) / N  variance of N members  =  squared error of their mean                     (Fortin et al. 2014)

that is a spread/skill ratio of 1, by a few rounds of a fixed-point iteration, since the noise of one lead time goes on
into the later ones.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.tensors import to_float, to_read, valid

MEMBERS, CLIPS, ROUNDS = 8, 48, 4
"""Members, clips at most, and rounds."""
LEAST, MOST = 0.25, 4.0
"""Bounds of an amplitude: beyond, the noise is unlike any that was trained with."""
DAMPING = 0.8
"""Power of the ratio by which an amplitude is changed in a round."""


@dataclass(frozen=True)
class Calibration:
    """What was fitted, by lead time."""

    clips: int
    members: int
    amplitude: tuple[float, ...]
    spread_skill_before: tuple[float, ...]
    """With amplitudes of 1."""
    spread_skill: tuple[float, ...]
    """With those that were fitted, on the same clips."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def calibrate(
    network: EncoderForecaster,
    clips: ClipDataset,
    compute: Compute,
    batch_size: int,
    on_batch: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Fits `network.noise_scale` on clips, evenly chosen from all of them.

    `on_batch` is called after each batch with the batches done and their total.
    """
    count = min(CLIPS, len(clips))
    chosen = Subset(clips, [round((at + 0.5) * len(clips) / count - 0.5) for at in range(count)])
    loader = DataLoader(chosen, batch_size=batch_size)
    total, done = len(loader) * (ROUNDS + 1), 0
    scale = network.noise_scale
    scale.fill_(1.0)
    ratios: list[Tensor] = []
    for attempt in range(ROUNDS + 1):
        sums = []
        for batch in loader:
            sums.append(_errors(network, batch, compute))
            done += 1
            if on_batch is not None:
                on_batch(done, total)
        variance, error = torch.stack(sums).sum(dim=0)
        ratio = (variance * (MEMBERS + 1) / MEMBERS / error.clamp(min=torch.finfo(error.dtype).tiny)).sqrt()
        ratios.append(ratio)
        if attempt < ROUNDS:
            leads = min(len(ratio), len(scale))
            change = ratio[:leads].clamp(min=0.1, max=10.0) ** -DAMPING
            change[~(error[:leads] > 0) | ~variance[:leads].isfinite()] = 1.0  # nothing to go by
            scale[:leads] = (scale[:leads] * change.to(scale)).clamp(LEAST, MOST)
            scale[leads:] = scale[leads - 1]
    leads = min(len(ratios[0]), len(scale))
    return Calibration(count, MEMBERS, *(tuple(each.tolist()) for each in (scale[:leads], ratios[0], ratios[-1])))


def _errors(network: EncoderForecaster, batch: Tensor, compute: Compute) -> Tensor:
    """Sums by lead time over a batch, (2, T): the variance of members, and the squared error of their mean."""
    seen, following = batch.tensor_split([network.config.input_frames], dim=1)
    frames, ahead = to_read(seen, compute.device), to_float(following, compute.device)
    truth, future = network.target_channels(ahead), network.known_future(ahead)
    members = forecast_members([network], frames, truth.shape[1], compute, future, members=MEMBERS)
    there = valid(following[:, :, : truth.shape[2]], compute.device)
    pixels = torch.stack((members.var(dim=0, correction=1), (members.mean(dim=0) - truth).square()))
    known = pixels if there is None else pixels * there
    return known.mean(dim=(3, 4, 5)).double().sum(dim=1).cpu()
