"""The members of a forecast: which network makes each, from which seed, and where they are until all are there."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.files import reserve
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.inference import member_seed
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.paths import quoted
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.weights.pretrained import Pretrained

TOGETHER, PIXELS = 8, 2**18
"""Members that are computed together at most, and pixels of their frames. On a processor's core a member of a 64x64
video takes 94 ms alone, 35 ms of eight and 33 ms of sixteen; at 256x256 it takes 0.69 s alone and 0.53 s of four."""
BAND = 2**26
"""Bytes of the members' values that are read at a time; what is computed of them takes a few times as much."""


@dataclass(frozen=True)
class Batch:
    """Members that one network computes together."""

    model: int
    """Position of the network."""
    members: tuple[int, ...]
    """Their numbers from 0."""
    seeds: tuple[int, ...]
    """A seed for each; none for the one forecast of a network that is given no noise."""


def runs_of_members(runs: Sequence[Run], config: PredictConfig) -> tuple[Run, ...]:
    """The runs whose networks make the members that are asked for: of each the one that reads noise, if there is one.

    Where no number of members is asked for, each run makes one. Raises UsageError for fewer members than runs, for a
    single forecast, and for a number that runs without noise do not have; and RunError for a single run without noise.
    """
    if config.members is None:
        if len(runs) == 1 and config.asks_for_members:
            flag = "--quantiles" if config.quantiles else "--exceed"
            raise UsageError(f"{flag} is about members and there is one forecast; add --members 20, or name more runs.")
        return tuple(runs)
    return tuple(run.for_members() for run in runs) if makes_members(runs, config.members) else tuple(runs)


def makes_members(runs: Sequence[Run], members: int) -> bool:
    """Whether so many members are drawn by networks that read noise, rather than one made by each of several runs.

    Raises UsageError for fewer members than runs, and for a number that runs without noise do not have.
    """
    if len(runs) == 1 or all(run.forecasts_members for run in runs):
        if members < len(runs):
            raise UsageError(f"--members is {members} and there are {len(runs)} runs; give at least as many.")
        return True
    if members != len(runs):
        single = next(run for run in runs if not run.forecasts_members)
        raise UsageError(
            f"--members is {members} and {single.folder} forecasts one future, as it was trained without "
            f"--members; give {len(runs)}, one for each run, or leave it out."
        )
    return False


def draws_members(models: Sequence[EncoderForecaster], config: PredictConfig) -> bool:
    """Whether members are drawn from noise: a number of them is asked for, and all networks read noise.

    Otherwise each network makes one.
    """
    return config.members is not None and all(model.config.noise for model in models)


def note_uncalibrated(runs: Sequence[Run], models: Sequence[EncoderForecaster], progress: Progress) -> None:
    """Notes each run, with its network, whose members are drawn before their spread is calibrated.

    A training does that at its end. The shipped weights are not calibrated, as no video is theirs.
    """
    for run, model in zip(runs, models, strict=True):
        if not (model.is_calibrated or isinstance(run, Pretrained)):
            progress.note(
                f"{run.folder}: the spread of its members is not calibrated, since its training has not ended, and may "
                f"be too narrow or too wide; `convlstm train -o {quoted(run.folder)} --resume` goes on and "
                "calibrates it"
            )


def plan_batches(models: Sequence[EncoderForecaster], config: PredictConfig, together: Sequence[int]) -> list[Batch]:
    """Which members each network computes at once, at most as many as `together` says for it.

    Member i is of network i modulo their number. Where none are drawn from noise, each network makes one.
    """
    if not draws_members(models, config):
        return [Batch(number, (number,), ()) for number in range(len(models))]
    assert config.members is not None
    batches = []
    for number, most in zip(range(len(models)), together, strict=True):
        mine = range(number, config.members, len(models))
        for first in range(0, len(mine), most):
            members = tuple(mine[first : first + most])
            seeds = tuple(member_seed(config.seed, member) for member in members)
            batches.append(Batch(number, members, seeds))
    return batches


class MembersFile:
    """The members of one forecast, (N, T, C, H, W) float32 in [0, 1], in a file that is mapped into memory.

    The system can free that memory, so what is held does not grow with the members or the lead times.
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @property
    def horizon(self) -> int:
        """Lead times."""
        return int(self._values.shape[1])

    def put(self, members: Sequence[int], first: int, piece: Tensor) -> None:
        """Takes some members from lead time `first`, from 0, on: (members, n, C, H, W)."""
        for member, frames in zip(members, piece, strict=True):
            self._values[member, first : first + len(frames)] = frames.cpu().numpy()

    def piece(self, member: int, first: int, steps: int) -> Tensor:
        """A copy of a member at `steps` lead times from `first` on, (steps, C, H, W)."""
        return torch.from_numpy(self._values[member, first : first + steps].copy())

    def frame(self, member: int, lead: int) -> Tensor:
        """A copy of a member at a lead time, (C, H, W)."""
        return torch.from_numpy(self._values[member, lead].copy())

    def bands(self, lead: int) -> Iterator[tuple[slice, Tensor]]:
        """All members at a lead time in bands of rows, each with its rows: copies (N, C, h, W) of about `BAND`."""
        count, _, channels, height, width = self._values.shape
        rows = max(1, BAND // (4 * count * channels * width))
        for first in range(0, height, rows):
            band = slice(first, min(height, first + rows))
            yield band, torch.from_numpy(self._values[:, lead, :, band].copy())


@contextlib.contextmanager
def members_file(path: Path, shape: tuple[int, int, int, int, int]) -> Iterator[MembersFile]:
    """Yields the file for members of a shape (N, T, C, H, W), which is removed at the end.

    Raises OutputError where the disk has no room for it, 4 bytes a value.
    """
    reserve(path, 4 * math.prod(shape))
    file = MembersFile(np.memmap(path, np.float32, "r+", shape=shape))
    try:
        yield file
    finally:
        del file._values  # Windows removes no file that is mapped
        path.unlink(missing_ok=True)
