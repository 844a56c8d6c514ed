"""The arms of a comparison: values of one option, such as kinds of peephole, or what existing runs have on record."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from convlstm_cli.comparing.explicit_settings import NOTHING_EXPLICIT, ExplicitSettings
from convlstm_cli.comparing.plan import Arm
from convlstm_cli.comparing.variation import PEEPHOLE, RETRAINED, Variation
from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig, Peephole
from convlstm_cli.paths import unique
from convlstm_cli.reporting.styles import system_headings, system_labels
from convlstm_cli.runs.agreement import first_difference
from convlstm_cli.runs.run import Run
from convlstm_cli.settings import check_choice, flag_of
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig


def varied_arms(variation: Variation, model: ForecasterConfig, training: TrainConfig) -> list[Arm]:
    """An arm for each value of an option, alike in all else.

    Args:
        variation: `Variation.read("dropout=0,0.1")`, or `CompareConfig.variation`.
        model, training: have all other settings.

    Raises UsageError, which names the option, for a value that makes no network or no training.
    """
    arms = []
    for name, setting in zip(variation.arms, variation.settings, strict=True):
        change = {variation.name: setting}
        if variation.config is ForecasterConfig:
            arms.append(Arm(name, replace(model, **change), training))
        else:
            arms.append(Arm(name, model, replace(training, **change)))
    return arms


def peephole_arms(kinds: Iterable[str], model: ForecasterConfig, training: TrainConfig) -> list[Arm]:
    """An arm for each kind of peephole, alike in all else. Raises UsageError for an unknown kind."""
    kinds = tuple(kinds)
    for kind in kinds:
        check_choice("--arms", kind, Peephole)
    return varied_arms(Variation(PEEPHOLE, kinds), model, training)


def named_runs(names: Sequence[str]) -> list[Run]:
    """The runs that `CompareConfig.arms` names; none where it names kinds of peephole.

    Raises UsageError where some of the names are neither, or where both are mixed, and RunError for a damaged run.
    """
    kinds = get_args(Peephole)
    if all(name in kinds for name in names):
        return []
    if others := [name for name in names if not Run.is_run(Path(name))]:
        wrong = next((name for name in others if name not in kinds), others[0])
        raise UsageError(
            f"--arms is {','.join(names)}; give kinds of peephole ({', '.join(kinds)}) or run folders, and {wrong} is "
            "no run."
        )
    return [Run.open(Path(name)) for name in names]


def recorded_arms(
    runs: Sequence[Run], training: TrainConfig, explicit: ExplicitSettings = NOTHING_EXPLICIT
) -> list[Arm]:
    """An arm for each run's recorded network and training, to be trained anew.

    Args:
        runs: at least two.
        training: has the arms' seed, limits and device; all else is on record.
        explicit: settings of the network and the training that were given explicitly.

    Raises UsageError where the runs would be trained on other clips than each other, where a setting is asked for that
    is on record, and for a run whose name cannot be that of a folder.
    """
    _check_recorded(explicit)
    alike = ("--size", "--input-frames", "--frames", "--fit", "--colour", "--stride")
    if (difference := first_difference(runs, alike)) is not None:
        raise UsageError(f"--arms: {difference}; all arms must be trained on the same clips.")
    given = {name: getattr(training, name) for name in RETRAINED}
    names = arm_names([run.name for run in runs])
    try:
        return [
            Arm(name, run.model_config, replace(train_config(run), **given))
            for name, run in zip(names, runs, strict=True)
        ]
    except ValueError as error:  # from Arm, which refuses the name
        raise UsageError(f"--arms: {error}, because it becomes a folder's; rename that run.") from error


def recorded_data(run: Run, folders: Sequence[str | Path], explicit: ExplicitSettings = NOTHING_EXPLICIT) -> DataConfig:
    """The data settings of a run, with other folders, and with what is asked for of `fit`, `colour` and the split."""
    settings = {**run.config["data"]["settings"], "folders": tuple(map(str, folders))}
    return replace(DataConfig(**settings), **explicit.data)


def arm_names(names: Iterable[str]) -> list[str]:
    """Names for arms, each with a number where it is taken by another arm or by another row of the films."""
    rows = {"input", "truth", *system_labels(), *system_headings().values(), *system_labels().values()}
    found: list[str] = []
    for name in names:
        found.append(unique(name, lambda candidate: candidate in rows or candidate in found))
    return found


def _check_recorded(explicit: ExplicitSettings) -> None:
    """Raises UsageError where something is asked for that the runs have on record."""
    flags = [flag_of(ForecasterConfig, name) for name in explicit.model]
    flags += [flag_of(TrainConfig, name) for name in explicit.training if name not in RETRAINED]
    flags += ["--size"] if explicit.data.keys() & {"height", "width"} else []
    if flags:
        raise UsageError(f"{sorted(flags)[0]} is recorded in the runs of --arms; leave it out.")
