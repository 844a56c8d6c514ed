"""The run that -m names, or the one that is taken without it."""

from pathlib import Path

from convlstm_cli.progress import Progress
from convlstm_cli.runs.folders import RUNS, last_written
from convlstm_cli.runs.run import Run
from convlstm_cli.weights import NAME
from convlstm_cli.weights.pretrained import Pretrained, open_run


def chosen_run(model: Path | None, progress: Progress) -> Run:
    """The run of -m; without it the newest under runs/, or the shipped weights where there is none, which is noted.

    Raises RunError for a folder that is no run.
    """
    newest = None if model is not None else last_written(trained=True)
    run = Pretrained() if model is None and newest is None else open_run(model or newest or Path(NAME))
    if newest is not None:
        progress.note(f"using the newest run, {run.folder}")
    elif model is None:
        progress.note(f"no run under {RUNS}/, so the shipped weights forecast, as with -m {NAME}")
    elif model == Path(NAME) and not isinstance(run, Pretrained):
        progress.note(f"-m {NAME} is the run folder of that name here, not the shipped weights")
    return run
