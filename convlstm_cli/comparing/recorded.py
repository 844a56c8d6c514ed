"""Runs that are trained, compared on the test videos that they share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convlstm_cli.comparing.judge import Case, TrainedArm, judge, settings_of, unique_names
from convlstm_cli.compute import device
from convlstm_cli.errors import InputError, OutputError, UsageError
from convlstm_cli.files import creating_folder
from convlstm_cli.progress import Progress
from convlstm_cli.runs.comparisons import write_recorded
from convlstm_cli.runs.run import Run
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
) -> dict[str, Any]:
    """Compares runs that are trained, on the test videos that they share.

    Runs that differ in nothing but the seed are one arm, and arms are paired seed by seed. The first run's arm is
    what the others are compared with. Of `config` the batch size, device and precision count.

    Returns what summary.json holds.

    Raises:
        UsageError: runs that make no pairs.
        InputError: runs that were not tested on the same frames, or whose videos have changed.
        RunError: a run without usable weights.
        OutputError: `folder` is there already, or cannot be written.
        Interrupted: when asked to stop; nothing is kept.
    """
    config, progress = config or EvaluateConfig(), progress or Progress()
    if folder.exists():
        raise OutputError(f"{folder}: is there already; choose another -o.")
    arms, warnings = _group(runs)
    _check_like_tests(runs)
    models = [run.model_config for run in runs]
    input_frames, horizon = max(m.input_frames for m in models), min(m.horizon for m in models)
    if horizon != max(m.horizon for m in models):
        progress.note(f"forecasting the {horizon} frames that every run was trained to forecast")
    data = restore(runs[0].config["data"], input_frames, horizon, progress.indexing, ("test",))
    clips = ClipDataset(
        data.library, data.split.test, input_frames + horizon, stride=horizon, channels=models[0].channels
    )
    if not len(clips):
        raise InputError(
            f"{runs[0].folder}: its test videos hold no clip of {input_frames + horizon} frames; compare runs that "
            "read and forecast fewer frames."
        )
    seeds = tuple(train_config(run).seed for run in arms[0].runs)
    about = {
        "folder": str(folder),
        "kind": "recorded",
        "match": None,
        "settings": {
            "data": runs[0].config["data"]["settings"],
            "model": asdict(models[0]),
            "training": asdict(train_config(runs[0])),
            "compare": {"runs": [str(run.folder) for run in runs]},
        },
    }
    again = "call the same command again"
    with creating_folder(folder) as partial:
        write_recorded(partial, {arm.name: arm.runs for arm in arms}, seeds)
        case = Case(
            folder=partial,
            arms=tuple(arms),
            seeds=seeds,
            clips=clips,
            input_frames=input_frames,
            batch_size=config.batch_size,
            about=about,
            warnings=tuple(warnings),
        )
        return judge(case, device.choose(config.device, config.precision), progress, should_stop, again)


def _group(runs: Sequence[Run]) -> tuple[list[TrainedArm], list[str]]:
    """The arms that the runs are of, their runs in the order of their seeds, and what is unlike between them."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(repr(sorted(settings_of(run).items())), []).append(run)
    warnings = []
    if len(groups) == 1:
        groups = {str(number): [run] for number, run in enumerate(runs)}
        warnings.append("The runs differ in nothing but the seed, so any difference between them is luck.")
    of_arms = [sorted(group, key=lambda run: train_config(run).seed) for group in groups.values()]
    if len(of_arms) < 2:
        raise UsageError("a comparison needs at least two runs; name more.")
    if len({len(group) for group in of_arms}) > 1:
        counts = "; ".join(f"{len(group)} like {group[0].folder}" for group in of_arms)
        raise UsageError(f"the runs make no pairs: there are {counts}. Name as many of each, one for each seed.")
    for group in of_arms:
        seeds = [train_config(run).seed for run in group]
        if len(set(seeds)) < len(seeds):
            raise UsageError(f"{group[0].folder}: another run is like it, with the same seed; name each once.")
    kinds: list[str] = [group[0].model_config.peephole for group in of_arms]
    names = kinds if len(set(kinds)) == len(kinds) else [group[0].name for group in of_arms]
    arms = [TrainedArm(name, tuple(group)) for name, group in zip(unique_names(names), of_arms, strict=True)]
    return arms, [*warnings, *_unlike(arms)]


def _unlike(arms: Sequence[TrainedArm]) -> Iterable[str]:
    """Where arms had other chances than each other."""
    seeds = {arm.name: [train_config(run).seed for run in arm.runs] for arm in arms}
    if len({tuple(of_arm) for of_arm in seeds.values()}) > 1:
        told = "; ".join(f"{name} has {', '.join(map(str, of_arm))}" for name, of_arm in seeds.items())
        yield f"The seeds differ ({told}), so that pairs share neither initial values nor the order of the clips."
    steps = {arm.name: [_steps(run) for run in arm.runs] for arm in arms}
    if len({tuple(of_arm) for of_arm in steps.values()}) > 1:
        told = "; ".join(f"{name} {', '.join(map(str, of_arm))}" for name, of_arm in steps.items())
        yield f"The budgets differ (optimiser steps: {told}), so that a difference may come from longer training."
    if any(run.read_test() is None for arm in arms for run in arm.runs):
        yield "Not all of the trainings are finished."


def _steps(run: Run) -> int:
    history = run.read_metrics()
    return int(history[-1]["steps"]) if history else 0


def _check_like_tests(runs: Sequence[Run]) -> None:
    """Raises InputError unless all runs were tested on the same frames, seen in the same way."""
    first = runs[0]
    for other in runs[1:]:
        for what, value in _view(first).items():
            if _view(other)[what] != value:
                raise InputError(
                    f"{other.folder}: has {what} {_view(other)[what]} and {first.folder} {value}, so their errors are "
                    "not of the same pixels; compare runs that agree in it."
                )
        ours, others = _test_frames(first), _test_frames(other)
        if unlike := sorted({(ours | others)[key] for key in ours.keys() ^ others.keys()}):
            raise InputError(
                f"{other.folder}: was not tested on the same frames as {first.folder} ({unlike[0]} is tested by one of "
                "them only, or shows other frames); compare runs that were trained on one folder with one --split-seed."
            )


def _test_frames(run: Run) -> dict[tuple[object, ...], str]:
    """Names of the test videos by what is tested of them."""
    return {
        (part["digest"], part["start"], part["stop"]): part["video"] for part in run.config["data"]["split"]["test"]
    }


def _view(run: Run) -> dict[str, object]:
    geometry = run.geometry
    return {
        "--size": f"{geometry.height}x{geometry.width}",
        "--fit": geometry.fit,
        "colour": "grey" if run.model_config.channels == 1 else "rgb",
    }
