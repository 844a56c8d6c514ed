"""Compares existing runs, without training them again, on the test videos that they share."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convlstm_cli.comparing.case import Case
from convlstm_cli.comparing.judge import judge
from convlstm_cli.comparing.pairing import pair_runs
from convlstm_cli.compute import device
from convlstm_cli.compute.distributed import check_one_process
from convlstm_cli.errors import InputError
from convlstm_cli.files import check_absent, creating_folder
from convlstm_cli.progress import Progress
from convlstm_cli.runs.agreement import first_difference
from convlstm_cli.runs.comparisons import write_recorded
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import ComparisonSummary
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.data import restore


def compare_runs(
    runs: Sequence[Run],
    folder: Path,
    config: EvaluateConfig | None = None,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ComparisonSummary:
    """Compares existing runs on the test videos that they share.

    Runs that differ in nothing but the seed are one arm, and arms are paired seed by seed. The first run's arm is
    what the others are compared with. Of `config` the batch size, colours, device and precision count.

    Returns what summary.json holds.

    Raises:
        UsageError: runs that make no pairs, or several processes.
        InputError: runs that were not tested on the same frames, or whose videos have changed.
        RunError: a run without usable weights.
        OutputError: `folder` is there already, or cannot be written.
        Interrupted: when asked to stop; nothing is kept.
    """
    check_one_process("compare")
    config, progress = config or EvaluateConfig(), progress or Progress()
    check_absent(folder)
    arms, warnings = pair_runs(runs)
    _check_tests(runs)
    input_frames, clips = _shared_clips(runs, progress)
    seeds = tuple(train_config(run).seed for run in arms[0].runs)
    with creating_folder(folder) as partial:
        write_recorded(partial, {arm.name: arm.runs for arm in arms}, seeds)
        case = Case(
            folder=partial,
            final_folder=folder,
            arms=tuple(arms),
            seeds=seeds,
            clips=clips,
            input_frames=input_frames,
            batch_size=config.batch_size,
            kind="recorded",
            match=None,
            settings=_settings(runs),
            warnings=tuple(warnings),
            colormap=config.colormap,
        )
        compute = device.choose(config.device, config.precision)
        return judge(case, compute, progress, should_stop, "call the same command again")


def _shared_clips(runs: Sequence[Run], progress: Progress) -> tuple[int, ClipDataset]:
    """The most input frames that a run reads, and the test clips of as many lead times as every run forecasts.

    Raises InputError where the test videos are too short for one.
    """
    models = [run.model_config for run in runs]
    input_frames, horizon = max(m.input_frames for m in models), min(m.horizon for m in models)
    if horizon != max(m.horizon for m in models):
        progress.note(f"forecasting the {horizon} frames that every run was trained to forecast")
    data = restore(runs[0].config["data"], input_frames, horizon, progress.indexing, ("test",))
    clips = ClipDataset(
        data.library,
        data.split.test,
        input_frames + horizon,
        stride=horizon,
        channels=models[0].channels,
        values=data.values,
        guides=data.guides,
    )
    if not len(clips):
        raise InputError(
            f"{runs[0].folder}: its test videos hold no clip of {input_frames + horizon} frames; compare runs that "
            "read and forecast fewer frames."
        )
    return input_frames, clips


def _settings(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Those of the first run, and which runs are compared."""
    return {
        "data": runs[0].config["data"]["settings"],
        "model": asdict(runs[0].model_config),
        "training": asdict(train_config(runs[0])),
        "compare": {"runs": [str(run.folder) for run in runs]},
    }


def _check_tests(runs: Sequence[Run]) -> None:
    """Raises InputError unless all runs were tested on the same frames, brought to the same size in the same way."""
    if (
        difference := first_difference(runs, ("--size", "--fit", "--every", "--range", "--input-only", "frames in"))
    ) is not None:
        raise InputError(f"{difference}, so their errors are not of the same pixels; compare runs that agree in it.")
    first = runs[0]
    for other in runs[1:]:
        ours, others = _test_frames(first), _test_frames(other)
        if unlike := sorted({(ours | others)[key] for key in ours.keys() ^ others.keys()}):
            raise InputError(
                f"{other.folder}: was not tested on the same frames as {first.folder} ({unlike[0]} is tested by one of "
                "them only, or shows other frames); compare runs that were trained on one folder with one --split-seed."
            )


def _test_frames(run: Run) -> dict[tuple[object, ...], str]:
    """Names of the test videos by which frames of them are tested."""
    return {
        (part["digest"], part["start"], part["stop"]): part["video"] for part in run.config["data"]["split"]["test"]
    }
