"""Warnings about a comparison's result: reasons to doubt it that its scores and learning curves show."""

from collections.abc import Iterator, Sequence

from convlstm_cli.scoring.comparison_result import ArmSummary
from convlstm_cli.scoring.scores import PooledScores


def cautions(arms: Sequence[ArmSummary], copying: PooledScores) -> Iterator[str]:
    """A sentence for each reason to doubt the result.

    Args:
        copying: the scores of copying the last frame.
    """
    bad = [arm.name for arm in arms if arm.scores.mean_mse >= copying.mean_mse]
    if bad:
        yield (
            f"{_listed(bad)} forecast{'s' * (len(bad) == 1)} no better than copying the last frame: a difference "
            "between forecasts that are not worth having says little. Train for longer, with --max-time or --epochs."
        )
    runs = [run for arm in arms for run in arm.runs if run.history]
    last = sum(run.best_epoch == run.history[-1].epoch for run in runs)
    if 2 * last > len(runs):
        yield (
            f"The last epoch was the best of {last} of {len(runs)} trainings: they were still learning when they "
            "ended, and longer ones may order the arms otherwise."
        )
    first = sum(run.best_epoch == run.history[0].epoch and len(run.history) > 1 for run in runs)
    if 2 * first > len(runs):
        yield (
            f"The first epoch was the best of {first} of {len(runs)} trainings: after it they learned the training "
            "videos by heart, and it is these early networks that are compared. More videos, --augment or fewer steps "
            "would help."
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
