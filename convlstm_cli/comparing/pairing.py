"""Groups existing runs into arms whose runs make pairs, and finds what is unlike between the arms."""

from collections.abc import Iterator, Sequence

from convlstm_cli.comparing.arms import arm_names
from convlstm_cli.comparing.case import TrainedArm, settings_of
from convlstm_cli.errors import UsageError
from convlstm_cli.runs.run import Run
from convlstm_cli.training.recorded import train_config


def pair_runs(runs: Sequence[Run]) -> tuple[list[TrainedArm], list[str]]:
    """The arms that the runs belong to, and warnings about what is unlike between them.

    Runs that differ in nothing but the seed are one arm, in the order of their seeds. Where all runs are like that,
    each is an arm of its own.

    Raises UsageError where the arms have different numbers of runs, or a run is there twice.
    """
    groups = _groups(runs)
    warnings = []
    if len(groups) == 1:
        groups = [[run] for run in runs]
        warnings.append("The runs differ in nothing but the seed, so any difference between them is luck.")
    _check_pairs(groups)
    kinds: list[str] = [group[0].model_config.peephole for group in groups]
    names = kinds if len(set(kinds)) == len(kinds) else [group[0].name for group in groups]
    arms = [TrainedArm(name, tuple(group)) for name, group in zip(arm_names(names), groups, strict=True)]
    return arms, [*warnings, *_unlike(arms)]


def _groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of the same settings together, each group sorted by seed."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(repr(sorted(settings_of(run).items())), []).append(run)
    return [sorted(group, key=_seed) for group in groups.values()]


def _check_pairs(groups: Sequence[Sequence[Run]]) -> None:
    if len(groups) < 2:
        raise UsageError("a comparison needs at least two runs; name more.")
    if len({len(group) for group in groups}) > 1:
        counts = "; ".join(f"{len(group)} like {group[0].folder}" for group in groups)
        raise UsageError(f"the runs make no pairs: there are {counts}. Name as many of each, one for each seed.")
    for group in groups:
        if len(set(map(_seed, group))) < len(group):
            raise UsageError(f"{group[0].folder}: another run is like it, with the same seed; name each once.")


def _unlike(arms: Sequence[TrainedArm]) -> Iterator[str]:
    """Warnings where the trainings of one arm had other chances than those of another."""
    seeds = {arm.name: [_seed(run) for run in arm.runs] for arm in arms}
    if len({tuple(of_arm) for of_arm in seeds.values()}) > 1:
        listed = "; ".join(f"{name} has {', '.join(map(str, of_arm))}" for name, of_arm in seeds.items())
        yield f"The seeds differ ({listed}), so that pairs share neither initial values nor the order of the clips."
    steps = {arm.name: [_steps(run) for run in arm.runs] for arm in arms}
    if len({tuple(of_arm) for of_arm in steps.values()}) > 1:
        listed = "; ".join(f"{name} {', '.join(map(str, of_arm))}" for name, of_arm in steps.items())
        yield f"The budgets differ (optimiser steps: {listed}), so that a difference may come from longer training."
    if any(run.read_test() is None for arm in arms for run in arm.runs):
        yield "Not all of the trainings are finished."


def _seed(run: Run) -> int:
    return train_config(run).seed


def _steps(run: Run) -> int:
    history = run.read_metrics()
    return int(history[-1]["steps"]) if history else 0
