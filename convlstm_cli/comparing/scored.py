"""Scores of every run and of every baseline on the test clips of a comparison."""

from collections.abc import Callable
from dataclasses import dataclass

from convlstm_cli.comparing.case import Case
from convlstm_cli.compute.device import Compute
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import COPYING, evaluate_clips
from convlstm_cli.scoring.scores import Scores


@dataclass(frozen=True)
class Scored:
    """What the forecasts of all systems score."""

    arms: dict[str, list[Scores]]
    """The scores of each arm's runs, in the order of the seeds."""
    baselines: dict[str, Scores]


def score_runs(case: Case, compute: Compute, on_progress: Callable[[int, int], None]) -> Scored:
    """Forecasts the test clips with every run, one network in memory at a time, and once with every baseline.

    Args:
        on_progress: is called with the number of clips forecast and their total; what it raises ends the work.
    """
    arms: dict[str, list[Scores]] = {}
    baselines: dict[str, Scores] = {}
    total, done = sum(len(arm.runs) for arm in case.arms) * len(case.clips), 0
    for arm in case.arms:
        arms[arm.name] = []
        for run in arm.runs:
            evaluation = evaluate_clips(
                run.load_model(compute.device),
                case.clips,
                compute,
                case.batch_size,
                lambda clips, _all, before=done: on_progress(before + clips, total),  # type: ignore[misc]
                baselines.get("persistence"),
                baselines=COPYING if baselines else BASELINES,
                input_frames=case.input_frames,
            )
            baselines = baselines or evaluation.baselines
            arms[arm.name].append(evaluation.model)
            done += len(case.clips)
    return Scored(arms, baselines)
