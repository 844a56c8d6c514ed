"""Scores of an ensemble beside single forecasts and baselines with members, all of the same clips."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.guarded_members import GuardedMembers
from convlstm_cli.scoring.members.baseline import EnsembleBaseline
from convlstm_cli.scoring.members.member_scores import MemberScores, PooledMembers
from convlstm_cli.scoring.members.spectra import Spectra
from convlstm_cli.scoring.systems import MEMBERS
from convlstm_cli.video.values import ValueRange


@dataclass(frozen=True)
class Sampling:
    """How members are drawn."""

    models: Sequence[EncoderForecaster]
    """Networks that read noise; they take turns."""
    count: int
    """Members of a clip, at least 2."""
    seed: int
    baselines: Mapping[str, EnsembleBaseline]
    """Draw as many members beside, by their names."""
    guard: bool = True
    """Whether members are mixed and dressed by the guard (`scoring/guarded_members.py`)."""

    def draw(self, frames: Tensor, horizon: int, compute: Compute, future: Tensor | None) -> Tensor:
        """The members, (N, B, horizon, C, H, W) in [0, 1]; arguments as for `forecast_members`."""
        clips = []
        for clip in range(len(frames)):  # one after another, since its members take as much memory as so many clips
            at = slice(clip, clip + 1)
            known = None if future is None else future[at]
            members = forecast_members(
                self.models, frames[at], horizon, compute, known, members=self.count, seed=self.seed
            )
            guarded = GuardedMembers.check(self.models, frames[at], compute, self.seed) if self.guard else None
            if guarded is not None:
                members = guarded.whole(members, self.models[0].target_channels(frames[at]), self.seed)
            clips.append(members)
        return torch.cat(clips, dim=1)

    def draw_baselines(self, frames: Tensor, horizon: int, values: ValueRange) -> dict[str, Tensor]:
        """Those of the baselines, by their names, of frames (B, T, C, H, W) in [0, 1] of a range of values."""
        return {
            name: baseline.members(frames, horizon, self.count, self.seed, values=values)
            for name, baseline in self.baselines.items()
        }


class EnsembleScores:
    """Scores and spectra of the members of several systems on the same clips, by the names of the systems in files.

    `MEMBERS` comes first. Single forecasts are ensembles of one member, whose CRPS is their mean absolute error.
    """

    def __init__(
        self,
        count: int,
        singles: Iterable[str],
        ensembles: Iterable[str] = (),
        *,
        thresholds: Sequence[float] = (),
        values: ValueRange,
        seed: int = 0,
    ) -> None:
        """For `count` members, single forecasts and baselines with members, by their names.

        `thresholds` are in the unit of `values`, and `seed` is that of the ranks of equal values.
        """
        members = dict.fromkeys((MEMBERS, *ensembles), count) | dict.fromkeys(singles, 1)
        self.systems = {name: MemberScores(members[name], thresholds, values, seed) for name in members}
        self.spectra = Spectra()

    def add(self, members: Mapping[str, Tensor], truth: Tensor, valid: Tensor | None = None) -> None:
        """Adds a batch: the members of every system, (N, B, T, C, H, W), and the rest as for `MemberScores.add`."""
        for name, scores in self.systems.items():
            scores.add(members[name], truth, valid)
        self.spectra.add({name: members[name] for name in self.systems}, truth, valid)

    def pooled(self, videos: Sequence[str]) -> dict[str, PooledMembers]:
        """The scores of every system, given the name of each clip's video."""
        return {name: scores.pooled(videos) for name, scores in self.systems.items()}
