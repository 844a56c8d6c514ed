"""A model's forecasts of known frames, scored beside the baselines that it has to beat."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from convlstm_cli import bootstrap, device
from convlstm_cli.baselines import BASELINES, Baseline, persistence
from convlstm_cli.bootstrap import Skill
from convlstm_cli.device import Compute
from convlstm_cli.distributed import ALONE, Ranks
from convlstm_cli.ensemble import check_members
from convlstm_cli.errors import InputError
from convlstm_cli.held_out import HeldOut, of_folders, own_test
from convlstm_cli.metrics import DEFINITIONS, Scores, Spread, finite, skill
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import Advection
from convlstm_cli.pictures import thumbnail
from convlstm_cli.progress import Progress
from convlstm_cli.run import Run
from convlstm_cli.settings import EvaluateConfig
from convlstm_cli.versions import versions
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.library import Video

PICTURED = 3
"""Clips that are shown as the worst, and as the best."""
PICTURED_FRAMES = 20
"""Frames of a row that are shown at most."""
PICTURED_SIDE = 128
"""Longest side in pixels of a shown frame; larger ones are shrunk."""


@dataclass(frozen=True)
class ShownClip:
    """A clip with its forecasts, to be looked at."""

    video: str
    first_frame: int
    """Number of the first frame that the model reads, from 1."""
    mse: float
    persistence_mse: float
    rows: dict[str, Tensor]
    """input, truth, model and each baseline: (T, C, H, W) in [0, 1] on the CPU, at most `PICTURED_FRAMES` each."""

    def to_dict(self) -> dict[str, object]:
        """All but the pictures, as JSON holds it."""
        return {
            "video": self.video,
            "first_frame": self.first_frame,
            "mse": self.mse,
            "persistence_mse": self.persistence_mse,
        }


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found."""

    runs: tuple[Run, ...]
    folders: tuple[str, ...]
    """Where the videos were looked for; none for the run's own test videos."""
    config: EvaluateConfig
    """With `frames` and `stride` resolved."""
    compute: Compute
    input_frames: int
    frame_shape: tuple[int, int, int]
    """Channels, height and width that everything was scored at."""
    videos: tuple[Video, ...]
    """Those with a clip that was scored."""
    left_out: tuple[str, ...]
    """Videos that were not scored, because a run was trained on them or chose its best epoch by them."""
    clips: tuple[tuple[str, int], ...]
    """Name of the video and position of the first frame, from 0, of each clip, in the order of the scores."""
    evaluation: "Evaluation"
    skills: dict[str, Skill]
    """Against each baseline."""
    worst: tuple[ShownClip, ...]
    """Of the clips, those with the highest MSE relative to persistence, the worst first."""
    best: tuple[ShownClip, ...]
    """Those with the lowest, the best first."""

    @property
    def no_interval(self) -> str | None:
        """Why the skills have no interval; None where they have."""
        if len(self.videos) > 1:
            return None
        return "a single video was scored, and an interval needs at least two to draw from"

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        channels, height, width = self.frame_shape
        clips = [name for name, _ in self.clips]
        spread = self.evaluation.spread
        return {
            "runs": [str(run.folder) for run in self.runs],
            "folders": list(self.folders),
            "settings": asdict(self.config),
            "input_frames": self.input_frames,
            "horizon": self.config.frames,
            "height": height,
            "width": width,
            "channels": channels,
            "videos": [
                {"video": video.name, "path": str(video.path), "clips": clips.count(video.name)}
                for video in self.videos
            ],
            "left_out": list(self.left_out),
            "clips": len(clips),
            **self.evaluation.to_dict(),
            "skill_against": {name: found.to_dict() for name, found in self.skills.items()},
            "interval": {
                "level": bootstrap.LEVEL,
                "resamples": bootstrap.RESAMPLES,
                "seed": bootstrap.SEED,
                "of": "videos, drawn with replacement",
                "missing": self.no_interval,
            },
            "spread_skill": None
            if spread is None
            else {
                "members": spread.members,
                "by_lead_time": [finite(ratio) for ratio in spread.ratios(self.evaluation.model.mse)],
            },
            "worst": [clip.to_dict() for clip in self.worst],
            "best": [clip.to_dict() for clip in self.best],
            "definitions": DEFINITIONS,
            "compute": {"device": str(self.compute.device), "precision": self.compute.precision},
            "versions": versions(),
        }


def evaluate(
    runs: Sequence[Run],
    folders: Sequence[str] = (),
    config: EvaluateConfig | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Scores a run, or the mean of several runs' forecasts, beside every baseline, at the size that the runs work at.

    Memory grows with the number of clips by a few numbers for each lead time only.

    Args:
        runs: one run, or the members of an ensemble.
        folders: where the videos are: every frame is scored that no run was trained on nor chose its best epoch by.
            Without any, the test videos of the first run are.
        config: which clips, which metrics.
        progress: is told what happens; None is silence.

    Raises:
        UsageError: runs that do not go together, or a device that is not there.
        RunError: a run without usable weights.
        InputError: videos that cannot be used, or none that may be scored.
    """
    config, progress = config or EvaluateConfig(), progress or Progress()
    if len(runs) != 1:
        check_members(runs)
    compute = device.choose(config.device, config.precision)
    models = [run.load_model(compute.device) for run in runs]
    horizon = config.frames or models[0].config.horizon
    config = replace(config, frames=horizon, stride=config.stride or horizon)
    input_frames = max(model.config.input_frames for model in models)
    clip_frames = input_frames + horizon
    held_out = of_folders(runs, folders, clip_frames, progress) if folders else own_test(runs, progress)
    clips = _clips(runs, held_out, clip_frames, config, models[0].config.channels, progress)

    evaluation = evaluate_clips(
        models,
        clips,
        compute,
        config.batch_size,
        progress.validating,
        baselines=BASELINES,
        thresholds=config.thresholds,
    )
    worst, best = _extremes(evaluation)
    names = [name for name, _ in clips.clips]
    report = EvaluationReport(
        runs=tuple(runs),
        folders=tuple(map(str, folders)),
        config=config,
        compute=compute,
        input_frames=input_frames,
        frame_shape=(models[0].config.channels, models[0].config.height, models[0].config.width),
        videos=tuple(video for video in held_out.library.videos if video.name in set(names)),
        left_out=held_out.left_out,
        clips=tuple(clips.clips),
        evaluation=evaluation,
        skills=bootstrap.skills(evaluation.model, evaluation.baselines, names),
        worst=tuple(_show(position, models, clips, evaluation, compute) for position in worst),
        best=tuple(_show(position, models, clips, evaluation, compute) for position in best),
    )
    progress.finished()
    return report


def _clips(
    runs: Sequence[Run],
    held_out: HeldOut,
    clip_frames: int,
    config: EvaluateConfig,
    channels: int,
    progress: Progress,
) -> ClipDataset:
    """The clips that are scored. Raises InputError where there are none."""
    segments = held_out.segments
    assert config.stride is not None
    clips = ClipDataset(held_out.library, segments, clip_frames, stride=config.stride, channels=channels)
    if not len(clips):
        longest = max((segment.stop - segment.start for segment in segments), default=0)
        raise InputError(
            f"{runs[0].folder}: no stretch of frames that it was not trained on is as long as a clip, which takes "
            f"{clip_frames} frames; the longest has {longest}. Lower --frames, or give a FOLDER of other videos."
        )
    short = {segment.video for segment in segments} - {name for name, _ in clips.clips}
    if short:
        progress.note(f"not scored, as shorter than the {clip_frames} frames of a clip: {', '.join(sorted(short))}")
    return clips


@dataclass
class Evaluation:
    """Scores of a model and of baselines on the same clips."""

    model: Scores = field(default_factory=Scores)
    baselines: dict[str, Scores] = field(default_factory=lambda: {"persistence": Scores()})
    """By the names of `BASELINES`; persistence is always among them."""
    spread: Spread | None = None
    """Where the model is an ensemble."""

    @property
    def persistence(self) -> Scores:
        """Scores of copying the last frame."""
        return self.baselines["persistence"]

    @property
    def skill(self) -> float:
        """1 - MSE / MSE of persistence, over all lead times."""
        return skill(self.model.mean_mse, self.persistence.mean_mse)

    def to_dict(self) -> dict[str, object]:
        """All scores and the skill, as JSON holds them."""
        return {
            "skill": finite(self.skill),
            "model": self.model.to_dict(),
            **{name: scores.to_dict() for name, scores in self.baselines.items()},
        }


COPYING: Mapping[str, Baseline] = {"persistence": persistence}


def evaluate_clips(
    model: EncoderForecaster | Sequence[EncoderForecaster],
    clips: ClipDataset,
    compute: Compute,
    batch_size: int,
    on_batch: Callable[[int, int], None] | None = None,
    known: Scores | None = None,
    *,
    baselines: Mapping[str, Baseline] = COPYING,
    thresholds: Sequence[float] = (),
    input_frames: int | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Forecasts every clip from its first `input_frames` frames and scores the rest.

    A model is given as many of the `input_frames` as it was trained with, the last ones; None takes the most that one
    was. Of several models, an ensemble, the mean of the forecasts is scored. `on_batch` is called after each batch with
    the number of clips done and their total; what it raises ends the evaluation. `known` are the scores of
    persistence on these very clips, if they were taken before. `baselines` are scored beside the model, and
    persistence has to be one of them. Of several processes (of one model, not of an ensemble) each scores its share of
    the clips, and all get the scores of all clips; `on_batch` is told this process's clips times their number.
    """
    models = [model] if isinstance(model, EncoderForecaster) else list(model)
    input_frames = input_frames or max(member.config.input_frames for member in models)
    evaluation = Evaluation(
        Scores(thresholds),
        {name: Scores(thresholds) for name in baselines},
        Spread(len(models)) if len(models) > 1 else None,
    )
    if known is not None:
        evaluation.baselines["persistence"] = known
    done = 0
    for batch in DataLoader(Subset(clips, ranks.share(range(len(clips)))), batch_size=batch_size):
        frames, truth = to_float(batch, compute.device).tensor_split([input_frames], dim=1)
        members = forecast_members(models, frames, truth.shape[1], compute)
        evaluation.model.add(members.mean(dim=0), truth)
        if evaluation.spread is not None:
            evaluation.spread.add(members)
        for name, baseline in baselines.items():
            if name != "persistence" or known is None:
                evaluation.baselines[name].add(baseline(frames, truth.shape[1]), truth)
        done += len(batch) * ranks.world
        if on_batch is not None:
            on_batch(min(done, len(clips)), len(clips))
    if ranks.world > 1:
        assert evaluation.spread is None
        parts = ranks.gather((evaluation.model, evaluation.baselines))
        evaluation.model = Scores.in_turn([model for model, _ in parts])
        for name in baselines:
            if name != "persistence" or known is None:
                evaluation.baselines[name] = Scores.in_turn([others[name] for _, others in parts])
    return evaluation


def forecast_members(models: Sequence[EncoderForecaster], frames: Tensor, horizon: int, compute: Compute) -> Tensor:
    """Every model's forecast, (M, B, horizon, C, H, W), each from as many of the last frames as it was trained with."""
    return torch.stack(
        [forecast_clip(model, frames[:, -model.config.input_frames :], horizon, compute) for model in models]
    )


def _extremes(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    """Positions of the worst clips and of the best ones by MSE relative to persistence, the utmost first."""
    mse = evaluation.model.per_clip("mse").mean(axis=1)
    copying = evaluation.persistence.per_clip("mse").mean(axis=1)
    # The smallest normal number makes a still clip the worst, unless the forecast is exact on it too.
    order = np.argsort(mse / np.maximum(copying, np.finfo(np.float64).tiny), kind="stable").tolist()
    count = min(PICTURED, max(1, len(order) // 2))
    return order[: -count - 1 : -1], order[:count]


def _show(
    position: int, models: Sequence[EncoderForecaster], clips: ClipDataset, evaluation: Evaluation, compute: Compute
) -> ShownClip:
    name, start = clips.clips[position]
    input_frames = max(model.config.input_frames for model in models)
    frames, truth = to_float(clips[position][None], compute.device).tensor_split([input_frames], dim=1)
    horizon = truth.shape[1]
    forecast = forecast_members(models, frames, horizon, compute).mean(dim=0)
    rows = {"input": frames[:, -PICTURED_FRAMES:], "truth": truth, "model": forecast}
    rows |= {name: baseline(frames, horizon) for name, baseline in BASELINES.items()}
    return ShownClip(
        name,
        start + 1,
        float(evaluation.model.per_clip("mse")[position].mean()),
        float(evaluation.persistence.per_clip("mse")[position].mean()),
        {name: thumbnail(clip[0, :PICTURED_FRAMES], PICTURED_SIDE) for name, clip in rows.items()},
    )


def forecast_clip(model: EncoderForecaster, frames: Tensor, horizon: int, compute: Compute) -> Tensor:
    """The next `horizon` frames, (B, horizon, C, H, W) float32 in [0, 1]; the model's mode is left as it was."""
    with _inferring(model, compute):
        forecast: Tensor = model(frames, horizon)
        return forecast.float()


def forecast_chunks(
    model: EncoderForecaster,
    frames: Tensor,
    horizon: int,
    chunk: int,
    compute: Compute,
    advection: Advection | None = None,
) -> Iterator[Tensor]:
    """What `forecast_clip` gives, in pieces of up to `chunk` frames, each computed when it is asked for.

    `advection` is for frames that are a window of larger ones; see `EncoderForecaster.stream`.
    """
    pieces = model.stream(frames, horizon, chunk=chunk, advection=advection)
    del frames, advection  # the stream lets go of them when it has read them
    while True:
        # Entered for each piece, since a generator that waits would leave its caller in this mode.
        with _inferring(model, compute):
            piece = next(pieces, None)
            if piece is None:
                return
            piece = piece.float()
        yield piece


@contextlib.contextmanager
def _inferring(model: EncoderForecaster, compute: Compute) -> Iterator[None]:
    """Evaluation mode and the chosen precision without gradients; the model's mode is as it was afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), compute.autocast():
            yield
    finally:
        model.train(was_training)


def to_float(clip: Tensor, device: torch.device) -> Tensor:
    """uint8 frames to float32 in [0, 1], on the device."""
    return clip.to(device).float() / 255.0
