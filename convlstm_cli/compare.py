"""Comparison: do peephole connections, or any other settings, help on these videos? `compare` and `resume`."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from convlstm_cli import lock
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.judge import Case, TrainedArm, judge, unique_names
from convlstm_cli.comparing.matching import match_parameters, time_steps, with_steps
from convlstm_cli.comparing.plan import Arm, Plan, Trial
from convlstm_cli.comparing.trials import threads_of, train_all
from convlstm_cli.compute import device
from convlstm_cli.errors import UsageError
from convlstm_cli.files import sweep
from convlstm_cli.nn.config import ForecasterConfig, Peephole
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run, check_free
from convlstm_cli.settings import check_choice
from convlstm_cli.train import check_options
from convlstm_cli.training.config import AUTO_BATCH, LIMITS, TrainConfig
from convlstm_cli.training.memory import with_batch_size
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.data import VideoData

DEFAULT_TIME = 240.0
"""Seconds that all trainings together may take where no limit is given."""


def compare(
    data: VideoData,
    arms: Sequence[Arm],
    config: CompareConfig,
    folder: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Trains every arm with every seed, and says whether the arms differ by more than luck.

    Within a seed all arms share the initial values of every weight that they have in common, the order of the clips,
    the batches, the draws of augmentation and the share of the schedule that is done; no arm stops early. Limits of
    the training are turned into a number of steps, which timed steps tell where the limit is a time: `max_time` is
    for all trainings together, `DEFAULT_TIME` if there is no limit at all.

    Args:
        data: the videos and their split.
        arms: `peephole_arms` or `recorded_arms`; the first is what the others are compared with.
        config: how many seeds, what is matched, where. Its `arms` are for the record only.
        folder: to make; `comparison.py` says what it will hold.
        progress: is told what happens; None is silence.
        should_stop: asked after every step; on True everything is saved and Interrupted raised.

    Returns:
        What summary.json holds.

    Raises:
        UsageError: arms that do not differ, or settings that do not go together.
        OutputError: `folder` is there already, cannot be written, or another process is comparing in it.
        Interrupted: after saving; `resume` goes on.
    """
    progress = progress or Progress()
    with lock.holding(folder):
        check_free(folder)
        _check_differ(arms)
        for arm in arms:
            check_options(arm.model, arm.training)
        if arms[0].training.batch_size == AUTO_BATCH:  # the same for all, and as many as fit for each
            training = arms[0].training
            compute = device.choose(next(iter(config.devices), training.device), training.precision)
            at_once = math.ceil(config.at_once(len(arms) * config.seeds) / max(1, len(config.devices)))
            models, clips = [arm.model for arm in arms], len(data.clips("train"))
            training = with_batch_size(training, models, clips, compute, at_once=at_once)
            arms = [replace(arm, training=replace(arm.training, batch_size=training.batch_size)) for arm in arms]
        settings = {
            "data": asdict(data.config),
            "model": asdict(arms[0].model),
            "training": asdict(arms[0].training),
            "compare": asdict(config),
        }
        if config.match == "params":
            widened = match_parameters([arm.model for arm in arms])
            arms = [replace(arm, model=model) for arm, model in zip(arms, widened, strict=True)]
        arms = [replace(arm, training=_with_limit(arm.training)) for arm in arms]
        arms = with_steps(arms, _timed(data, arms, config, should_stop), config, data)
        plan = Plan(
            folder=folder,
            arms=tuple(arms),
            seeds=tuple(range(arms[0].training.seed, arms[0].training.seed + config.seeds)),
            data=data.to_dict(),
            settings=settings,
        )
        steps = ", ".join(f"{arm.name} {arm.training.max_steps}" for arm in arms)
        progress.note(f"comparing in {folder}: {len(arms)} arms, {len(plan.seeds)} seeds; steps of a training: {steps}")
        return _go_on(plan, data, progress, should_stop)


def resume(
    plan: Plan,
    data: VideoData,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Goes on with a comparison, or with one that has more seeds now: trains what is not trained, then judges anew.

    `data` is `data.restore` of the plan's own record. Returns and raises what `compare` does.
    """
    with lock.holding(plan.folder):
        return _go_on(plan, data, progress or Progress(), should_stop)


def peephole_arms(kinds: Iterable[str], model: ForecasterConfig, training: TrainConfig) -> list[Arm]:
    """An arm for each kind of peephole, alike in all else. Raises UsageError for an unknown kind."""
    arms = []
    for kind in kinds:
        check_choice("--arms", kind, Peephole)
        arms.append(Arm(kind, replace(model, peephole=kind), training))  # type: ignore[arg-type]
    return arms


def recorded_arms(runs: Sequence[Run], training: TrainConfig) -> list[Arm]:
    """An arm for each run's recorded network and training, to be trained anew.

    Seed, limits and device are those of `training`.

    Raises UsageError where the networks work on other frames, so that they share no clips.
    """
    first = runs[0]
    for other in runs[1:]:
        for name in ("height", "width", "input_frames", "horizon"):
            one, another = getattr(first.model_config, name), getattr(other.model_config, name)
            if one != another:
                raise UsageError(
                    f"--arms: {first.folder} has {name.replace('_', ' ')} {one} and {other.folder} {another}; arms "
                    "must read and forecast the same frames."
                )
        for name in ("fit", "colour", "stride"):
            one, another = (run.config["data"]["settings"][name] for run in (first, other))
            if one != another:
                raise UsageError(
                    f"--arms: {first.folder} has --{name} {one} and {other.folder} {another}; all arms are trained on "
                    "the same clips."
                )
    given = {name: getattr(training, name) for name in (*LIMITS, "seed", "device", "save_every")}
    names = unique_names([run.name for run in runs])
    try:
        return [
            Arm(name, run.model_config, replace(train_config(run), **given))
            for name, run in zip(names, runs, strict=True)
        ]
    except ValueError as error:  # of a name
        raise UsageError(f"--arms: {error}, because it becomes a folder's; rename that run.") from error


def _go_on(plan: Plan, data: VideoData, progress: Progress, should_stop: Callable[[], bool]) -> dict[str, Any]:
    """For whoever holds the comparison's folder."""
    sweep(plan.folder, below=True)
    plan.write()
    train_all(plan, data, progress, should_stop)
    runs = {arm.name: tuple(Run.open(plan.run_folder(Trial(arm, seed))) for seed in plan.seeds) for arm in plan.arms}
    clips = data.clips("test")
    training = plan.arms[0].training
    case = Case(
        folder=plan.folder,
        arms=tuple(TrainedArm(arm.name, runs[arm.name], arm.step_seconds) for arm in plan.arms),
        seeds=plan.seeds,
        clips=clips,
        input_frames=data.input_frames,
        batch_size=training.batch_size,
        about={"folder": str(plan.folder), "kind": "trained", "match": plan.compare.match, "settings": plan.settings},
        extended=plan.extended,
    )
    again = f"every run is trained; go on with: convlstm compare -o {plan.folder} --resume"
    where = next(iter(plan.compare.devices), training.device)
    return judge(case, device.choose(where, training.precision), progress, should_stop, again)


def _check_differ(arms: Sequence[Arm]) -> None:
    for one, other in itertools.combinations(arms, 2):
        if (one.model, one.training) == (other.model, other.training):
            raise UsageError(f"--arms: {one.name} and {other.name} are set alike, so there is nothing to compare.")


def _with_limit(training: TrainConfig) -> TrainConfig:
    limited = any(getattr(training, name) is not None for name in LIMITS)
    return training if limited else replace(training, max_time=DEFAULT_TIME)


def _timed(data: VideoData, arms: Sequence[Arm], config: CompareConfig, should_stop: Callable[[], bool]) -> list[float]:
    """Seconds of a step of each arm, on as many threads as it will have."""
    if config.devices:
        arms = [replace(arm, training=replace(arm.training, device=config.devices[0])) for arm in arms]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads_of(config.at_once(len(arms) * config.seeds)))
    try:
        return time_steps(data, arms, arms[0].training.seed, should_stop)
    finally:
        torch.set_num_threads(threads)
