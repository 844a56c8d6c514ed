"""One training of a comparison: begun, gone on with, or found finished."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from convlstm_cli import lock
from convlstm_cli import train as training
from convlstm_cli.comparing.matching import initial_weights
from convlstm_cli.comparing.plan import Plan, Trial
from convlstm_cli.progress import Progress, StepReport
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.video.data import VideoData

ORPHANS = 30.0
"""Seconds that trainings may take to save whose comparison was killed, before one that goes on with it is refused."""


@dataclass(frozen=True)
class TrialResult:
    """What is reported of a finished training; small, since it comes from another process."""

    steps: int
    """Optimiser steps."""
    seconds: float
    mse: float
    """On the test clips, over all lead times."""
    copying: float
    """The same of copying the last frame."""
    unit: str = ""
    """Unit of both; empty for values in [0, 1]."""


def is_finished(plan: Plan, trial: Trial) -> bool:
    """Whether a training has ended, was tested and has its report, which is written last."""
    return all((plan.run_folder(trial) / name).is_file() for name in ("test.json", "report.html"))


def make_trial(
    plan: Plan,
    trial: Trial,
    data: VideoData,
    device: str | None,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> TrialResult:
    """Trains an arm with a seed in its run folder, or goes on with what is there.

    Args:
        device: where to train; None leaves it to the plan.

    Raises what `train.train` does.
    """
    arm, folder = trial.arm, plan.run_folder(trial)
    config = replace(arm.training, seed=trial.seed, device=device or arm.training.device)
    initial = initial_weights(plan.arms, arm, trial.seed)
    lock.wait_for(folder, ORPHANS)
    more: dict[str, Any] = {"initial": initial, "progress": progress, "should_stop": should_stop}
    if (folder / "config.json").is_file():
        result = training.resume(Run.open(folder), data, config=config, **more)
    else:
        result = training.train(data, arm.model, config, folder, **more)
    test = result.test
    unit = METRICS["mse"].unit(data.values.unit)
    return TrialResult(result.steps, result.seconds, test.model.mean_mse, test.persistence.mean_mse, unit)


class ShareProgress(Progress):
    """Reduces what a training reports to the share of it that is done."""

    def __init__(self, on_share: Callable[[float], None]) -> None:
        self._on_share = on_share

    def stepped(self, step: StepReport) -> None:
        self._on_share(step.share)
