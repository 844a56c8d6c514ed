"""The network that watches: forecasts each frame from those before it, and measures how far it lies from that."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.runs.run import Run
from convlstm_cli.video.tensors import to_float, to_read, valid
from convlstm_cli.watching.config import WatchConfig
from convlstm_cli.watching.input_format import InputFormat
from convlstm_cli.watching.patches import Surprise, surprise
from convlstm_cli.watching.steps import Step
from convlstm_cli.watching.windows import Batch, Moment, batches


@dataclass(frozen=True)
class Pictures:
    """Frames and their forecasts, for films."""

    frames: Tensor
    """(B, C, H, W) in [0, 1], NaN where pixels are missing."""
    forecasts: Tensor
    """(B, C, H, W) in [0, 1]."""


@dataclass(frozen=True)
class ObservedFrames:
    """Frames that follow each other, and the patches of those that could be forecast, on the CPU."""

    moments: tuple[Moment, ...]
    surprise: Surprise
    pictures: Pictures | None
    """None once they are not needed."""

    def without_pictures(self) -> "ObservedFrames":
        """The same in less memory."""
        return replace(self, pictures=None)

    def singles(self) -> Iterator["ObservedFrames"]:
        """The same, one frame after another, so that nothing depends on how many are forecast together."""
        for moment in self.moments:
            at = slice(0, 0) if moment.row is None else slice(moment.row, moment.row + 1)
            pictures = self.pictures
            yield ObservedFrames(
                (replace(moment, row=None if moment.row is None else 0),),
                Surprise(self.surprise.error[at], self.surprise.spread[at]),
                None if pictures is None else Pictures(pictures.frames[at], pictures.forecasts[at]),
            )


class Forecaster:
    """One network of a run."""

    def __init__(self, run: Run, config: WatchConfig, compute: Compute) -> None:
        """Loads the weights. Raises RunError."""
        self.model = run.load_model(compute.device)
        self._config, self._compute = config, compute
        self.reach = self.model.config.input_frames
        """Frames before each that it is forecast from: as long, a surprising frame disturbs later forecasts."""

    def seen(self, steps: Iterable[Step], input_format: InputFormat) -> Iterator[ObservedFrames]:
        """The frames of a video, one after another; batches of them are read, forecast and measured when asked for."""
        content = input_format.content().to(self._compute.device)
        for batch in batches(steps, input_format, self.reach, self._config.batch_size):
            yield from self._seen(batch, content).singles()

    def _seen(self, batch: Batch, content: Tensor) -> ObservedFrames:
        where = self._compute.device
        before, now = batch.clips[:, :-1], batch.clips[:, -1]
        truth, there = to_float(now, where), valid(now, where)
        there = content.expand_as(truth) if there is None else there & content
        members = self.forecast(batch.clips)[:, :, 0] if len(batch.clips) else truth[None]
        found = surprise(members, to_float(before[:, -1], where), truth, there)
        pictures = Pictures(truth.masked_fill(~there, torch.nan).cpu(), members.mean(dim=0).cpu())
        return ObservedFrames(batch.moments, Surprise(found.error.cpu(), found.spread.cpu()), pictures)

    def forecast(self, clips: Tensor) -> Tensor:
        """Members of the last frame of windows (B, T + 1, C, H, W), from the others: (M, B, 1, C, H, W) in [0, 1]."""
        read, config = to_read(clips[:, :-1], self._compute.device), self._config
        return forecast_members([self.model], read, 1, self._compute, members=config.members, seed=config.seed)
