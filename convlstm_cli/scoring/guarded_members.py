"""Members under the guard: each is mixed as a single forecast is, and they are dressed with their past errors.

A network spreads its members by what was uncertain in the videos that it learned from. A clip may hold what these did
not: rain that grows, a sensor's noise, leaves in the wind. So members are checked on the clip's own past: from a few
origins of the input frames, N members forecast the input frames that follow.

1. Each is mixed with the baselines with the weights that the guard gives to their mean (`guard.py`).
2. The variance of the mixed members explains a share of the squared error of their mean. The rest is what past errors
   make up for:

    share² = 1 - mean over lead times of  (N + 1) / N variance / squared error of the mean                         >= 0
    mixed member_i + (-1)^i share e_i             e_i: past errors of the mean (`past_errors.py`), one for two members

Where the noise is not calibrated, as in the shipped networks, the share is at least `LEAST_SHARE`. The signs leave the
mean as it is, but for values beyond 0 and 1 and the last of an odd number. Errors drawn from the past are the ensemble
dressing of Roulston and Smith (2003, Tellus 55A, 16-30), and the share is that with which spread and error agree (Wang
and Bishop 2005, Q. J. R. Meteorol. Soc. 131, 965-986).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guard import WHOLE, Forecast, Guard, origins_of
from convlstm_cli.scoring.guarded import GuardedPieces
from convlstm_cli.scoring.past_errors import PastErrors
from convlstm_cli.scoring.systems import MODEL

CHECKED = 8
"""Members of a hindcast."""
LEAST_SHARE = 0.7
"""Members may be spread as far as they are in error, and in the wrong places. With 0, 0.5 and 0.7 the CRPS over the MAE
of the forecast without noise was 0.767, 0.746 and 0.742 on sign language, 0.847, 0.803 and 0.785 on a road, 0.733,
0.731 and 0.722 on one radar and the same on another (12, 9, 3 and 3 clips of 64x64, in a trial in which the mean of the
members was mixed)."""


@dataclass(frozen=True)
class _Hindcast:
    """Forecasts of the input frames that follow an origin."""

    members: Tensor
    """(N, B, l, C, H, W), with l the frames after the origin."""
    baselines: dict[str, Tensor]
    """All baselines by name, (B, l, C, H, W) each."""

    def of(self, candidate: str) -> Tensor:
        """The forecast of a candidate of the guard: of the network it is the mean of the members."""
        return self.members.mean(dim=0) if candidate == MODEL else self.baselines[candidate]

    def mixed(self, guard: Guard) -> Tensor:
        """The members mixed, (N, B, l, C, H, W)."""
        used = {name: forecast for name, forecast in self.baselines.items() if name in guard.used}
        return torch.stack([guard.mix({MODEL: member, **used}) for member in self.members])


@dataclass(frozen=True)
class GuardedMembers:
    """How the members of some clips are mixed and dressed, by a check on the clips' input."""

    guard: Guard
    """How they are mixed."""
    errors: PastErrors
    """Past errors of the mean of the mixed members."""
    share: Tensor
    """Share of the errors that each member gets, (B,), 0 to 1."""

    @classmethod
    def check(
        cls, models: Sequence[EncoderForecaster], frames: Tensor, compute: Compute, seed: int = 0
    ) -> "GuardedMembers | None":
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
        config, count = models[0].config, max(CHECKED, len(models))
        shown, mask = models[0].target_channels(frames), frames[:, :, config.channels + config.inputs :]
        hindcasts = {origin: _hindcast(models, frames, origin, compute, count, seed) for origin in origins}

        def made(candidate: str) -> Forecast:
            return lambda seen, _: hindcasts[seen.shape[1]].of(candidate)

        there = mask if mask.shape[2] else None
        guard = Guard.of({name: made(name) for name in (MODEL, *BASELINES)}, frames, config.channels, there)
        assert guard is not None
        counts = torch.ones_like(shown) if there is None else (there > WHOLE).expand_as(shown).to(shown)
        fields, moments = [], []
        for origin in origins:
            mixed = hindcasts.pop(origin).mixed(guard)
            error = (shown[:, origin:] - mixed.mean(dim=0)) * counts[:, origin:]
            variance = mixed.var(dim=0, correction=1) * counts[:, origin:]
            fields.append(error)
            moments.append(torch.stack((variance, error.square())).mean(dim=(3, 4, 5)).cpu().double())
        least = 0.0 if all(model.is_calibrated for model in models) else LEAST_SHARE
        return cls(guard, PastErrors.of(fields), _share(moments, count, least))

    def pieces(self, frames: Tensor, horizon: int, chunk: int) -> GuardedPieces:
        """Mixes members piece by piece; arguments as for `GuardedPieces`, of one clip."""
        return GuardedPieces(self.guard, frames, horizon, chunk)

    def resized(self, height: int, width: int) -> "GuardedMembers":
        """The same for frames of another size."""
        return replace(self, errors=self.errors.resized(height, width))

    def dress(self, piece: Tensor, member: int, seed: int, first: int = 0) -> Tensor:
        """A mixed member's frames (B, n, C, H, W) from lead time `first`, from 0, on, with its errors, in [0, 1]."""
        sign = 1.0 if member % 2 == 0 else -1.0
        field = self.errors.at(self.errors.draw(seed, member // 2), first, piece.shape[1]).to(piece)
        share = sign * self.share.to(piece).view(-1, 1, 1, 1, 1)
        return (piece + share * field).clamp_(0.0, 1.0)

    def whole(self, members: Tensor, frames: Tensor, seed: int) -> Tensor:
        """All members (N, 1, T, C, H, W) of one clip, mixed and dressed; `frames` as for `pieces`."""
        horizon = members.shape[2]
        mixed = self.pieces(frames, horizon, horizon).mix_each(members)
        return torch.stack([self.dress(each, member, seed) for member, each in enumerate(mixed)])


def _hindcast(
    models: Sequence[EncoderForecaster], frames: Tensor, origin: int, compute: Compute, count: int, seed: int
) -> _Hindcast:
    """So many members and all baselines from the frames before an origin; arguments as for `GuardedMembers.check`."""
    seen, ahead, known = frames[:, :origin], frames.shape[1] - origin, models[0].known_future(frames)
    future = None if known is None else known[:, origin:]
    members = forecast_members(models, seen, ahead, compute, future, members=count, seed=seed)
    shown = models[0].target_channels(seen)
    return _Hindcast(members, {name: baseline.forecast(shown, ahead) for name, baseline in BASELINES.items()})


def _share(moments: list[Tensor], count: int, least: float) -> Tensor:
    """The share, (B,), from variance and squared error by lead time of each origin, (2, B, l)."""
    longest = max(each.shape[2] for each in moments)
    sums = torch.zeros(2, moments[0].shape[1], longest, dtype=torch.float64)
    for each in moments:
        sums[:, :, : each.shape[2]] += each
    variance, error = sums
    explained = torch.where(error > 0, (count + 1) / count * variance / error, 1.0)
    return (1.0 - explained.mean(dim=1)).clamp(least**2, 1.0).sqrt()
