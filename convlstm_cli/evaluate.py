"""`evaluate`: scores runs on held-out frames, beside the baselines that they have to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import check_one_process
from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.forecasting.ensemble import check_members
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.forecasting.members import makes_members, note_uncalibrated
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.reporting.pictures import thumbnail
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring import bootstrap
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.evaluation import Evaluation, evaluate_clips
from convlstm_cli.scoring.guarded import guarded_forecast
from convlstm_cli.scoring.held_out import HeldOut, of_folders, own_test
from convlstm_cli.scoring.members.baseline import EnsembleBaseline
from convlstm_cli.scoring.members.baselines import chosen
from convlstm_cli.scoring.members.ensemble_scores import Sampling
from convlstm_cli.scoring.members.member_scores import mean_of
from convlstm_cli.scoring.result import EvaluationReport, ShownClip
from convlstm_cli.scoring.systems import GUARDED, MEAN, MODEL
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.tensors import always_gaps, to_float, to_read, with_gaps
from convlstm_cli.video.value_choice import choose_range, outside
from convlstm_cli.weights.pretrained import Pretrained

PICTURED = 3
"""Number of clips that are shown as the worst, and as the best."""
PICTURED_FRAMES = 20
"""Most frames of a row that are shown."""
PICTURED_SIDE = 128
"""Longest side of a shown frame in pixels; larger frames are shrunk."""


def evaluate(
    runs: Sequence[Run],
    folders: Sequence[str] = (),
    config: EvaluateConfig | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Scores a run, or the mean of several runs' forecasts, beside every baseline, at the runs' frame size.

    Unless `config.guard` is off, the forecasts as `predict` mixes them with the baselines are scored as well.

    With `config.members`, members are drawn and scored as well. Each clip takes a few numbers of memory for each lead
    time.

    Args:
        runs: one run, or the members of an ensemble.
        folders: folders or files of videos. Scored are their frames that no run was trained on or chose its best epoch
            by. Without folders, the test videos of the first run are scored.
        config: which clips, which metrics; None for the defaults.
        progress: receives progress and notes; None is silent.

    Raises:
        UsageError: the runs cannot form an ensemble, the device does not exist, there are several processes, or a
            baseline cannot run.
        RunError: a run has no usable weights, or members are asked for and its network reads no noise.
        InputError: videos cannot be used, or none may be scored.
    """
    check_one_process("evaluate")
    config, progress = config or EvaluateConfig(), progress or Progress()
    if len(runs) != 1:
        check_members(runs)
    compute = device.choose(config.device, config.precision)
    runs = [_at_size(run, config) for run in runs]
    if (values := runs[0].values) is not None:
        config.check_thresholds(values)  # before anything is computed
    beside = chosen(config.baseline) if config.members else {}
    for run in runs if config.members else ():
        run.for_members()  # raises before anything is computed
    horizon = config.frames or runs[0].model_config.horizon
    config = replace(config, frames=horizon, stride=config.stride or horizon)
    input_frames = max(run.model_config.input_frames for run in runs)
    clip_frames = input_frames + horizon
    held_out = of_folders(runs, folders, clip_frames, progress) if folders else own_test(runs, progress)
    runs = [run.for_channels(held_out.library.channels) for run in runs]
    models = [run.load_model(compute.device) for run in runs]
    sampling = _sampling(runs, models, beside, config, compute) if config.members else None
    if sampling is not None:
        note_uncalibrated(runs, sampling.models, progress)
    clips = _clips(runs, held_out, clip_frames, config, models[0].config.channels, progress)

    evaluation = evaluate_clips(
        models,
        clips,
        compute,
        config.batch_size,
        progress.validating,
        baselines=BASELINES,
        thresholds=config.thresholds,
        guard=config.guard,
        sampling=sampling,
    )
    if not evaluation.model.has_truth.any():
        raise InputError(
            f"{', '.join(map(str, folders)) or runs[0].folder}: no pixel of the frames to score has a value; give a "
            "FOLDER of other videos, or check what means no data with convlstm inspect."
        )
    worst, best = _shown(models, sampling, clips, evaluation, compute)
    names = [name for name, _ in clips.clips]
    scored = set(names)
    progress.finished()
    return EvaluationReport(
        runs=tuple(runs),
        folders=tuple(map(str, folders)),
        config=config,
        compute=compute,
        input_frames=input_frames,
        frame_shape=(models[0].config.channels, models[0].config.height, models[0].config.width),
        videos=tuple(video for video in held_out.library.videos if video.name in scored),
        left_out=held_out.left_out,
        clips=tuple(clips.clips),
        evaluation=evaluation,
        skills=bootstrap.skills(evaluation.model, evaluation.baselines, names),
        worst=worst,
        best=best,
        values=clips.values,
    )


def _at_size(run: Run, config: EvaluateConfig) -> Run:
    """The run at the frame size that is asked for. Raises UsageError for a run that has a size of its own."""
    if config.working_size is None:
        return run
    if isinstance(run, Pretrained) and not run.has_own_size:
        return run.at_size(*config.working_size)
    raise UsageError(
        f"--size: {run.folder} is scored at the {run.geometry.height}x{run.geometry.width} of its training, by which "
        "its videos are known; leave --size out."
    )


def _sampling(
    runs: Sequence[Run],
    models: Sequence[EncoderForecaster],
    baselines: Mapping[str, EnsembleBaseline],
    config: EvaluateConfig,
    compute: Compute,
) -> Sampling | None:
    """How members are drawn: by the networks of the runs that read noise, which may be those of the forecast itself.

    None where each of several runs makes one. Raises UsageError and RunError as `runs_of_members` does.
    """
    if not makes_members(runs, config.members):
        return None
    drawing = [
        model if model.config.noise else run.for_members().load_model(compute.device)
        for run, model in zip(runs, models, strict=True)
    ]
    return Sampling(drawing, config.members, config.seed, baselines, guard=config.guard)


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
    trained = runs[0].values
    values = trained or choose_range(held_out.library, segments)
    config.check_thresholds(values)
    if trained is not None and (note := outside(held_out.library, segments, trained)) is not None:
        progress.note(note)
    clips = ClipDataset(
        held_out.library,
        segments,
        clip_frames,
        stride=config.stride,
        channels=channels,
        values=values,
        guides=runs[0].guides,
    )
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


def _shown(
    models: Sequence[EncoderForecaster],
    sampling: Sampling | None,
    clips: ClipDataset,
    evaluation: Evaluation,
    compute: Compute,
) -> tuple[tuple[ShownClip, ...], tuple[ShownClip, ...]]:
    """The worst clips and the best ones, with their forecasts."""
    worst, best = (
        tuple(_show(position, models, sampling, clips, evaluation, compute) for position in positions)
        for positions in _extremes(evaluation)
    )
    return worst, best


def _extremes(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    """Positions of the worst and of the best clips by MSE relative to persistence, the most extreme first.

    Clips without any truth are neither.
    """
    mse = evaluation.model.weighted("mse").mean(axis=1)
    copying = evaluation.persistence.weighted("mse").mean(axis=1)
    # Without motion persistence is exact; the smallest normal number then makes the clip the worst, unless the forecast
    # is exact too.
    order = np.argsort(mse / np.maximum(copying, np.finfo(np.float64).tiny), kind="stable")
    order = order[evaluation.model.has_truth[order]].tolist()
    count = min(PICTURED, max(1, len(order) // 2))
    return order[: -count - 1 : -1], order[:count]


def _show(
    position: int,
    models: Sequence[EncoderForecaster],
    sampling: Sampling | None,
    clips: ClipDataset,
    evaluation: Evaluation,
    compute: Compute,
) -> ShownClip:
    name, start = clips.clips[position]
    input_frames = max(model.config.input_frames for model in models)
    seen, following = clips[position][None].tensor_split([input_frames], dim=1)
    read, ahead = to_read(seen, compute.device), to_float(following, compute.device)
    frames, horizon = models[0].target_channels(read), ahead.shape[1]
    future = models[0].known_future(ahead)
    forecast = forecast_members(models, read, horizon, compute, future).mean(dim=0)
    forecasts = {MODEL: forecast}
    forecasts |= {name: baseline.forecast(frames, horizon) for name, baseline in BASELINES.items()}
    if evaluation.guarded is not None:
        forecasts[GUARDED] = guarded_forecast(models, read, forecasts, compute)
    if sampling is not None:
        forecasts[MEAN] = mean_of(sampling.draw(read, horizon, compute, future), clips.values)
    whole = models[0].target_channels(with_gaps(clips[position][None], compute.device))
    inputs, known = whole.tensor_split([input_frames], dim=1)
    unknowable = always_gaps(inputs)
    rows = {"input": inputs[:, -PICTURED_FRAMES:], "truth": known}
    rows |= {name: forecasts[name].masked_fill(unknowable, torch.nan) for name in evaluation.systems}
    return ShownClip(
        name,
        start + 1,
        float(np.nanmean(evaluation.model.per_clip("mse")[position])),
        float(np.nanmean(evaluation.persistence.per_clip("mse")[position])),
        {name: thumbnail(clip[0, :PICTURED_FRAMES], PICTURED_SIDE) for name, clip in rows.items()},
    )
