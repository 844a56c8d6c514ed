"""`convlstm train`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convlstm_cli.cli.arguments import NETWORK, TRAINING, VIDEOS, AsJson, Quiet, Size, UsePreset, Verbose
from convlstm_cli.cli.options import with_options
from convlstm_cli.cli.request import Request
from convlstm_cli.errors import UsageError

if TYPE_CHECKING:
    from convlstm_cli.compute.distributed import Ranks
    from convlstm_cli.progress import Progress
    from convlstm_cli.runs.run import Run
    from convlstm_cli.train import TrainResult


@with_options(VIDEOS, NETWORK, TRAINING)
def train(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Folders of videos, or single videos.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Run folder to make; runs/FOLDER-1, -2, ... if not given.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run -o, or the newest run if -o is not given.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the videos, the network and the memory; train nothing.")
    ] = False,
    preset: UsePreset = "small",
    size: Size = "64",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Train on a folder of videos or image sequences."""
    from convlstm_cli.cli import resuming
    from convlstm_cli.cli.console import ConsoleProgress
    from convlstm_cli.compute.distributed import Ranks
    from convlstm_cli.compute.memory import keep_freed_memory
    from convlstm_cli.training.optimisers import leave_out_compiler

    keep_freed_memory()
    leave_out_compiler()
    ranks = Ranks.from_environment()
    progress = ConsoleProgress(quiet or not ranks.is_first, verbose)
    request = Request.read(context, options, preset=preset, size=size, folders=folders, output=output)
    if resume and dry_run:
        raise UsageError("--dry-run shows a new run; convlstm inspect RUN shows one that has begun.")
    begun = resuming.begun_run(output) if resume else None
    if begun is not None:
        result = _continue(begun, request, progress, ranks)
    elif not folders:
        raise UsageError("train needs a FOLDER of videos; see convlstm train --help.")
    elif dry_run:
        return _show_plan(request, progress, ranks, json)
    else:
        result = _begin(request, progress, ranks)
    if ranks.is_first:
        _show_result(result, progress, json)
    return None


def _begin(request: Request, progress: "Progress", ranks: "Ranks") -> "TrainResult":
    """Trains a new run."""
    from convlstm_cli import train as training
    from convlstm_cli.cli.console import stop_on_signals
    from convlstm_cli.cli.preparing import prepare
    from convlstm_cli.compute import device
    from convlstm_cli.compute.distributed import joined
    from convlstm_cli.runs.folders import new_folder

    config = request.training
    with joined(ranks, device.choose(config.device, config.precision, ranks).device):
        data, model = ranks.first_of_machine(partial(prepare, request, progress))
        folder = ranks.of_first(request.output or new_folder(request.folders[0]))
        with stop_on_signals(quiet=not ranks.is_first) as should_stop:
            return training.train(data, model, config, folder, progress=progress, should_stop=should_stop, ranks=ranks)


def _continue(run: "Run", request: Request, progress: "Progress", ranks: "Ranks") -> "TrainResult":
    """Continues an interrupted run."""
    from convlstm_cli import train as training
    from convlstm_cli.cli.console import stop_on_signals
    from convlstm_cli.compute import device
    from convlstm_cli.compute.distributed import joined
    from convlstm_cli.training.resuming import settings_to_go_on
    from convlstm_cli.video import data

    explicit, model = request.explicit(), run.model_config
    config = settings_to_go_on(run, training=explicit.training, model=explicit.model, data=explicit.data)
    progress.note(f"going on with {run.folder}")
    with joined(ranks, device.choose(config.device, config.precision, ranks).device):
        restore = partial(data.restore, run.config["data"], model.input_frames, model.horizon, progress.indexing)
        videos = ranks.first_of_machine(restore)
        progress.finished()
        with stop_on_signals(quiet=not ranks.is_first) as should_stop:
            return training.resume(run, videos, config=config, progress=progress, should_stop=should_stop, ranks=ranks)


def _show_plan(request: Request, progress: "Progress", ranks: "Ranks", as_json: bool) -> None:
    """Shows what training would do, for --dry-run."""
    from convlstm_cli.cli import console, inspection
    from convlstm_cli.cli.inspection_views import plan_view
    from convlstm_cli.cli.preparing import prepare
    from convlstm_cli.compute import device
    from convlstm_cli.compute.distributed import joined

    config = request.training
    compute = device.choose(config.device, config.precision, ranks, learning=True)
    with joined(ranks, compute.device):
        data, model = ranks.first_of_machine(partial(prepare, request, progress, noting=False))
        if ranks.is_first:
            plan = inspection.plan(data, model, config, compute, ranks)
            console.show_json(plan.to_dict()) if as_json else console.show(*plan_view(plan))


def _show_result(result: "TrainResult", progress: "Progress", as_json: bool) -> None:
    from convlstm_cli.cli import console
    from convlstm_cli.cli.score_tables import scores_view
    from convlstm_cli.paths import quoted

    folder = result.run.folder
    if as_json:
        console.show_json({"run": str(folder), **(result.run.read_test() or {})})
        return
    console.show(*scores_view(result.test.to_dict()))
    if result.is_by_heart:
        progress.note(
            f"epoch {result.best_epoch} of {result.epochs} forecasts the validation videos best: after it the training "
            "videos were learned by heart. More videos help, and so does --augment, with those of its changes that "
            "leave your videos as likely as they were."
        )
    progress.note(f"training ended because {result.stopped}; wrote {folder} (report: {folder / 'report.html'})")
    progress.note(f"next: convlstm predict VIDEO -m {quoted(folder)}")
