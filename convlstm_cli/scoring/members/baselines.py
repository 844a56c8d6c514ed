"""The baselines with members, beside which an ensemble is scored."""

from collections.abc import Sequence

from convlstm_cli.registry import Registry
from convlstm_cli.scoring.members import steps
from convlstm_cli.scoring.members.baseline import EnsembleBaseline
from convlstm_cli.scoring.members.dressed import dressed
from convlstm_cli.settings import check_choice

ENSEMBLE_BASELINES: Registry[EnsembleBaseline] = Registry(
    "baseline with members",
    (
        EnsembleBaseline(
            "dressed",
            "optical flow with past errors",
            "optical flow with its past errors drawn at random",
            "dressed",
            dressed,
        ),
        EnsembleBaseline(
            "steps", "STEPS", "STEPS of pysteps", "STEPS", steps.steps, on_request=True, check=steps.check
        ),
    ),
)
"""All baselines with members. The single forecasts of `BASELINES` are scored as ensembles of one member, whose CRPS is
their mean absolute error."""


def chosen(requested: Sequence[str]) -> dict[str, EnsembleBaseline]:
    """The baselines that are scored: those that need no request, and those that `--baseline` names.

    Raises UsageError for a name that is none, and DependencyError for a baseline whose package is missing.
    """
    for name in requested:
        check_choice("--baseline", name, ENSEMBLE_BASELINES)
    found = {name: each for name, each in ENSEMBLE_BASELINES.items() if not each.on_request or name in requested}
    for each in found.values():
        if each.check is not None:
            each.check()
    return found
