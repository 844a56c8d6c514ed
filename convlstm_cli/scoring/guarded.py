"""Forecasts of networks under the guard: whole ones of many clips, and pieces of a single one."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.forecasting.record import GuardRecord
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guard import Guard
from convlstm_cli.scoring.systems import MODEL
from convlstm_cli.settings import MIN_SIDE

CHECKED_SIDE = 128
"""Longest side in pixels of the frames on which a forecast at the source's size is checked."""


def check_networks(models: Sequence[EncoderForecaster], frames: Tensor, compute: Compute) -> Guard | None:
    """Checks the mean forecast of networks on their input; None for too few frames.

    `frames` are (B, T, C, H, W) as for `forecast_members`.
    """
    config, known = models[0].config, models[0].known_future(frames)

    def network(seen: Tensor, ahead: int) -> Tensor:
        future = None if known is None else known[:, seen.shape[1] : seen.shape[1] + ahead]
        return forecast_members(models, seen, ahead, compute, future).mean(dim=0)

    mask = frames[:, :, config.channels + config.inputs :]
    return Guard.check(network, frames, config.channels, mask if mask.shape[2] else None)


def guarded_forecast(
    models: Sequence[EncoderForecaster], frames: Tensor, forecasts: Mapping[str, Tensor], compute: Compute
) -> Tensor:
    """The mean forecast of networks, mixed with the baselines as far as the input frames support it.

    Args:
        models: the networks.
        frames: the input, as for `check_networks`.
        forecasts: the networks' mean forecast and those of all baselines, by name, (B, horizon, C, H, W) each.
        compute: device and precision.

    Returns:
        (B, horizon, C, H, W); the networks' forecast itself where the input is too short for a check.
    """
    guard = check_networks(models, frames, compute)
    return forecasts[MODEL] if guard is None else guard.mix(forecasts)


def shrunk(frames: Tensor, models: Sequence[EncoderForecaster]) -> Tensor:
    """Frames (B, T, C, H, W) in [0, 1] of any size, with sides of about `CHECKED_SIDE` at most that all networks take.

    Their aspect ratio is kept but for rounding to whole patches.
    """
    patch = math.lcm(*(model.config.patch_size for model in models))
    scale = min(1.0, CHECKED_SIDE / max(frames.shape[-2:]))
    height, width = (
        patch * max(math.ceil(MIN_SIDE / patch), round(side * scale / patch)) for side in frames.shape[-2:]
    )
    small = F.interpolate(frames.flatten(0, 1), size=(height, width), mode="area")
    return small.view(*frames.shape[:3], height, width)


class GuardedPieces:
    """Mixes the forecast of one clip piece by piece, in memory that does not grow with the horizon."""

    def __init__(self, guard: Guard, frames: Tensor, horizon: int, chunk: int) -> None:
        """`frames` are the input, (1, T, C, H, W) in [0, 1]; `chunk` is the number of frames of each piece."""
        self._guard = guard
        self._baselines = {
            name: baseline.stream(frames, horizon, chunk) for name, baseline in BASELINES.items() if name in guard.used
        }
        self._done = 0

    def mix(self, piece: Tensor) -> Tensor:
        """The next piece of the forecast, (1, n, C, H, W) in [0, 1], mixed."""
        return next(self.mix_each(iter([piece])))

    def mix_each(self, members: Iterable[Tensor]) -> Iterator[Tensor]:
        """The next pieces of several forecasts, (1, n, C, H, W) in [0, 1] each and one at a time, mixed."""
        others, first = {name: next(pieces) for name, pieces in self._baselines.items()}, self._done
        for piece in members:
            self._done = first + piece.shape[1]
            yield self._guard.mix({MODEL: piece, **{name: other.to(piece) for name, other in others.items()}}, first)

    def record(self) -> GuardRecord:
        """What is mixed, for forecast.json."""
        return guard_record(self._guard)


def guard_record(guard: Guard) -> GuardRecord:
    """What is mixed of the forecasts of one clip, for forecast.json."""
    by_candidate = guard.weights[0].T.tolist()
    return GuardRecord(guard.origins, dict(zip(guard.names, map(tuple, by_candidate), strict=True)))
