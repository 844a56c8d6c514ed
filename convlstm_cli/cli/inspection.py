"""What is in a video, a folder of videos or a run, and what training on it would take."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.runs import comparisons
from convlstm_cli.runs.comparisons import UnfinishedComparison
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import ComparisonSummary, read_summary
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.memory import training_memory, with_batch_size
from convlstm_cli.video.colour import is_grey
from convlstm_cli.video.data import SUBSETS, VideoData
from convlstm_cli.video.reader import open_video


def inspect_video(path: Path) -> dict[str, Any]:
    """Decodes a video whole and says what it holds. Raises InputError if it cannot be used."""
    frames, grey = 0, True
    with open_video(path) as video:
        for frame in video:
            frames += 1
            grey = grey and is_grey(frame, video.grey_tolerance)
        return {
            "path": str(path),
            "kind": video.kind,
            "frames": frames,
            "declared_frames": video.declared_frames,
            "height": video.height,
            "width": video.width,
            "fps": video.fps,
            "colour": "grey" if grey else "rgb",
        }


def inspect_data(data: VideoData) -> dict[str, Any]:
    """Usable videos, clips of each subset, and every problem with its file."""
    return {
        "videos": [{**asdict(video), "path": str(video.path)} for video in data.library.videos],
        "frames": sum(video.frames for video in data.library.videos),
        "frame_shape": [data.channels, data.config.height, data.config.width],
        "split": data.split.how,
        "clips": {subset: len(data.clips(subset)) for subset in SUBSETS},
        "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in data.library.problems],
    }


def inspect_run(run: Run) -> dict[str, Any]:
    """A run's network, its training so far and its test scores."""
    history = run.read_metrics()
    return {
        "run": str(run.folder),
        "model": asdict(run.model_config),
        "parameters": parameter_count(run.model_config),
        "epochs": len(history),
        "last_epoch": history[-1] if history else None,
        "test": run.read_test(),
        "split": run.config["data"]["split"],
    }


def inspect_comparison(folder: Path) -> ComparisonSummary | UnfinishedComparison:
    """What a comparison found; of one that is not finished, how many of its runs have begun and ended.

    Raises RunError where a file of it is damaged.
    """
    state, summary = comparisons.unfinished(folder), read_summary(folder)
    if summary is not None and summary.seeds == comparisons.read_record(folder).get("seeds"):
        return summary
    return state  # there is no summary yet, or seeds were added since, which are not all trained


def plan(
    data: VideoData, model: ForecasterConfig, config: TrainConfig, compute: Compute, ranks: Ranks = ALONE
) -> dict[str, Any]:
    """What training would do: the data, the shapes, the parameters and the expected memory in bytes."""
    config = with_batch_size(config, [model], len(data.clips("train")), compute, ranks)
    return {
        **inspect_data(data),
        "batch_shape": [config.batch_size, model.clip_frames, model.channels, model.height, model.width],
        "parameters": parameter_count(model),
        "expected_memory": training_memory(model, config.batch_size, config.checkpoint_every),
    }
