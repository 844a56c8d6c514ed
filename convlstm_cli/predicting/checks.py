"""What a prediction refuses: runs that do not go together or do not fit the options, and inputs that are too large."""

from collections.abc import Sequence
from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import check_members
from convlstm_cli.forecasting.members import runs_of_members
from convlstm_cli.forecasting.units import check_range
from convlstm_cli.forecasting.working_size import check_works_at
from convlstm_cli.runs.run import Run


def check_runs(run: Run | Sequence[Run], config: PredictConfig) -> tuple[Run, ...]:
    """The runs of a prediction. Raises UsageError for several that make no ensemble, or that need another size.

    Those of members are checked and chosen as `runs_of_members` does.
    """
    runs = runs_of_members((run,) if isinstance(run, Run) else tuple(run), config)
    if not isinstance(run, Run):
        check_members(runs, native_size=config.native_size)
    check_works_at(runs, config)
    check_range(runs, config)
    return runs


def too_large(source: Path, config: PredictConfig) -> InputError:
    """The error of an input for which the memory does not suffice; other inputs may be smaller."""
    instead = "leave --native-size out" if config.native_size else "choose --size model, or a --size in pixels"
    return InputError(f"{source}: takes more memory than there is; {instead}, or --device cpu.")
