"""Comparison: do peephole connections, or any other settings, help on these videos? `compare` and `resume`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from convlstm_cli import lock
from convlstm_cli.comparing.arms import named_runs, peephole_arms, recorded_arms, recorded_data, varied_arms
from convlstm_cli.comparing.case import Case, TrainedArm
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.explicit_settings import NOTHING_EXPLICIT, ExplicitSettings
from convlstm_cli.comparing.judge import judge
from convlstm_cli.comparing.plan import Arm, Plan, Trial
from convlstm_cli.comparing.planning import make_plan
from convlstm_cli.comparing.recorded import compare_runs
from convlstm_cli.comparing.resuming import with_explicit
from convlstm_cli.comparing.trials import train_all
from convlstm_cli.comparing.variation import Variation
from convlstm_cli.compute import device
from convlstm_cli.compute.distributed import check_one_process
from convlstm_cli.errors import Interrupted
from convlstm_cli.files import sweep
from convlstm_cli.paths import quoted
from convlstm_cli.progress import Progress
from convlstm_cli.runs.folders import check_free
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import ComparisonSummary
from convlstm_cli.video.data import VideoData, restore

__all__ = [
    "Arm",
    "ExplicitSettings",
    "Plan",
    "Variation",
    "compare",
    "compare_runs",
    "named_runs",
    "peephole_arms",
    "recorded_arms",
    "recorded_data",
    "resume",
    "varied_arms",
]


def compare(
    data: VideoData,
    arms: Sequence[Arm],
    config: CompareConfig,
    folder: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ComparisonSummary:
    """Trains every arm with every seed, and finds out whether the arms differ by more than luck.

    Within a seed all arms share the initial values of every weight that they have in common, the order of the clips,
    the batches, the draws of augmentation and the share of the schedule that is done; no arm stops early. Limits of
    the training are turned into a number of steps, by timing steps where the limit is a time: `max_time` is for all
    trainings together, `planning.DEFAULT_TIME` if there is no limit at all.

    Args:
        data: the videos and their split. Networks get its number of channels.
        arms: `varied_arms`, `peephole_arms` or `recorded_arms`; the first is what the others are compared with.
        config: how many seeds, what is matched, where. Its `arms` and `vary` are for the record and the words of
            the verdict only.
        folder: to make; `comparing/plan.py` lists what it will hold.
        progress: is called with what happens; None is silence.
        should_stop: is called after every step; on True everything is saved and Interrupted raised.

    Returns:
        What summary.json holds.

    Raises:
        UsageError: arms that do not differ, settings that do not go together, a device that is not there, or several
            processes.
        OutputError: `folder` is there already, cannot be written, or another process is comparing in it.
        Interrupted: after saving; `resume` goes on.
    """
    check_one_process("compare")
    progress = progress or Progress()
    with lock.holding(folder):
        check_free(folder)
        plan = make_plan(data, arms, config, folder, should_stop)
        steps = ", ".join(f"{arm.name} {arm.training.max_steps}" for arm in plan.arms)
        progress.note(
            f"comparing in {folder}: {len(plan.arms)} arms, {len(plan.seeds)} seeds; steps of a training: {steps}"
        )
        return _go_on(plan, data, progress, should_stop)


def resume(
    plan: Plan,
    explicit: ExplicitSettings = NOTHING_EXPLICIT,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ComparisonSummary:
    """Goes on with a comparison: trains what is not trained yet, then judges anew.

    Args:
        plan: `Plan.read` of the comparison's folder.
        explicit: what is to change, such as `ExplicitSettings(compare={"seeds": 5})`. Seeds can be added, and devices,
            jobs and the time between checkpoints changed; everything else has to be as recorded.
        progress, should_stop: as those of `compare`.

    Returns what summary.json holds.

    Raises:
        UsageError: a setting that is asked for differs from the record and may not change.
        InputError: videos that have changed since the comparison began.
        OutputError, Interrupted: as `compare`.
    """
    check_one_process("compare")
    progress = progress or Progress()

    def on_video(name: str, position: int, videos: int) -> None:
        progress.indexing(name, position, videos)
        if should_stop():
            raise Interrupted(f"interrupted; go on with: convlstm compare -o {quoted(plan.folder)} --resume")

    with lock.holding(plan.folder):
        plan = with_explicit(plan, explicit)
        progress.note(f"going on with {plan.folder}")
        model = plan.arms[0].model
        data = restore(plan.data, model.input_frames, model.horizon, on_video)
        progress.finished()
        return _go_on(plan, data, progress, should_stop)


def _go_on(plan: Plan, data: VideoData, progress: Progress, should_stop: Callable[[], bool]) -> ComparisonSummary:
    """Trains what is left of the plan and judges; the caller holds the comparison's folder."""
    sweep(plan.folder, below=True)
    plan.write()
    train_all(plan, data, progress, should_stop)
    training = plan.arms[0].training
    again = f"every run is trained; go on with: convlstm compare -o {quoted(plan.folder)} --resume"
    where = next(iter(plan.compare.devices), training.device)
    return judge(_case(plan, data), device.choose(where, training.precision), progress, should_stop, again)


def _case(plan: Plan, data: VideoData) -> Case:
    runs = {arm.name: tuple(Run.open(plan.run_folder(Trial(arm, seed))) for seed in plan.seeds) for arm in plan.arms}
    return Case(
        folder=plan.folder,
        final_folder=plan.folder,
        arms=tuple(TrainedArm(arm.name, runs[arm.name], arm.step_seconds) for arm in plan.arms),
        seeds=plan.seeds,
        clips=data.clips("test"),
        input_frames=data.input_frames,
        batch_size=plan.arms[0].training.batch_size,
        kind="trained",
        match=plan.compare.match,
        settings=plan.settings,
        extended=plan.extended,
        colormap=plan.arms[0].training.colormap,
    )
