"""An arm as the summary has it: its runs, costs, scores and their intervals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.case import Case, TrainedArm
from convlstm_cli.comparing.statistics.intervals import arm_interval
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import ArmSummary, EpochSummary, RunSummary
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.training.memory import training_memory
from convlstm_cli.training.recorded import train_config

INTERVALS = ("mse", "ssim")
"""Metrics that have an interval for each arm."""


def summarise_arm(arm: TrainedArm, case: Case, of_seeds: Sequence[Scores]) -> ArmSummary:
    """What the summary holds about an arm.

    Args:
        arm: one of the case's.
        of_seeds: the scores of its runs on the test clips, in the order of the seeds.
    """
    runs = [_summarise_run(*each, case.folder) for each in zip(case.seeds, arm.runs, of_seeds, strict=True)]
    training = train_config(arm.runs[0])
    intervals = {
        metric: arm_interval(per_clip(of_seeds, metric), case.videos, METRICS[metric].bounds_of(case.clips.values))
        for metric in INTERVALS
    }
    known = {metric: ends for metric, ends in intervals.items() if ends is not None}
    return ArmSummary(
        name=arm.name,
        peephole=arm.model.peephole,
        hidden=list(arm.model.hidden),
        differs={name: arm.settings[name] for name in _differing(case)},
        parameters=parameter_count(arm.model),
        steps=max(run.steps for run in runs),
        step_seconds=arm.step_seconds,
        memory=training_memory(arm.model, training.batch_size, training.checkpoint_every, training.members),
        runs=runs,
        scores=Scores.pool(of_seeds).pooled(),
        intervals=known or None,
    )


def per_clip(of_seeds: Sequence[Scores], metric: str) -> NDArray[np.float64]:
    """A metric of every run, (seeds, clips, lead times), in which clips weigh by their pixels with a truth."""
    return np.stack([scores.weighted(metric) for scores in of_seeds])


def _differing(case: Case) -> list[str]:
    """Names of the settings in which some arms differ."""
    settings = [arm.settings for arm in case.arms]
    return sorted(name for name in settings[0] if any(other.get(name) != settings[0][name] for other in settings))


def _summarise_run(seed: int, run: Run, scores: Scores, folder: Path) -> RunSummary:
    history, test = run.read_metrics(), run.read_test() or {}
    return RunSummary(
        seed=train_config(run).seed,
        pair=seed,
        folder=_relative(run.folder, folder),
        best_epoch=test.get("best_epoch"),
        steps=history[-1]["steps"] if history else 0,
        seconds=test.get("seconds"),
        mse=scores.mean_mse,
        history=[
            EpochSummary(
                epoch=row["epoch"],
                steps=row["steps"],
                train_loss=finite(row["train_loss"]),
                validation_mse=row["validation"]["model"]["mean"]["mse"],
            )
            for row in history
        ],
    )


def _relative(path: Path, folder: Path) -> str:
    """The path below the folder where it lies there, else as it is."""
    inside = path.resolve().is_relative_to(folder.resolve())
    return str(path.resolve().relative_to(folder.resolve())) if inside else str(path)
