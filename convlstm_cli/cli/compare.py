"""`convlstm compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convlstm_cli.cli.arguments import NETWORK, TRAINING, VIDEOS, AsJson, Quiet, Size, UsePreset, Verbose
from convlstm_cli.cli.options import build, with_options
from convlstm_cli.cli.request import Request
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.errors import UsageError
from convlstm_cli.scoring.config import EvaluateConfig

if TYPE_CHECKING:
    from convlstm_cli.comparing.plan import Plan
    from convlstm_cli.progress import Progress
    from convlstm_cli.scoring.comparison_result import ComparisonSummary


@with_options((CompareConfig, "Comparison"), VIDEOS, NETWORK, TRAINING, without=("patience",))
def compare(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER|RUN",
            help="Folders of videos to train on; or trained runs, which are compared on the test videos that they "
            "share.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder to make; runs/compare-FOLDER-1, -2, ... if not given."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the comparison -o, or the newest if -o is not given; a higher --seeds adds seeds to it.",
        ),
    ] = False,
    preset: UsePreset = "small",
    size: Size = "64",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Find out whether peepholes help: train with and without them, matched in all else, seed by seed.

    --vary does the same for any other option of the network or the training, such as --vary dropout=0,0.1.

    All trainings together take about 4 minutes unless --max-time, --max-steps or --epochs is given. --max-time is the
    time of the whole comparison; --max-steps and --epochs are those of each training.
    """
    from convlstm_cli.cli import console, resuming
    from convlstm_cli.cli.comparison_view import comparison_view
    from convlstm_cli.compute.distributed import check_one_process
    from convlstm_cli.compute.memory import keep_freed_memory
    from convlstm_cli.paths import quoted
    from convlstm_cli.runs.run import Run
    from convlstm_cli.training.optimisers import leave_out_compiler
    from convlstm_cli.weights import NAME
    from convlstm_cli.weights.pretrained import is_pretrained

    check_one_process("compare")  # before any video is decoded
    keep_freed_memory()
    leave_out_compiler()
    progress = console.ConsoleProgress(quiet, verbose)
    request = Request.read(context, options, preset=preset, size=size, folders=folders, output=output)
    config = build(CompareConfig, request.options)
    trained = [path for path in request.folders if Run.is_run(path)]
    if any(map(is_pretrained, request.folders)):
        raise UsageError(
            f"{NAME} has no training settings and no test videos to compare by; score it beside a run with "
            f"convlstm evaluate {NAME} FOLDER and convlstm evaluate RUN FOLDER."
        )
    begun = resuming.begun_comparison(output) if resume and not trained else None
    if trained:
        summary = _compare_trained(trained, request, progress)
    elif begun is not None:
        summary = _continue(begun, config, request, progress)
    elif request.folders:
        summary = _begin(config, request, progress)
    else:
        raise UsageError("compare needs a FOLDER of videos, or RUNs that are trained; see convlstm compare --help.")
    if json:
        console.show_json(summary.to_dict())
    else:
        console.show(*comparison_view(summary))
        written = Path(summary.folder)
        progress.note(f"wrote {written} (report.html, summary.json, metrics.csv)")
        progress.note(f"next: open {quoted(written / 'report.html')}")


def _compare_trained(trained: list[Path], request: Request, progress: "Progress") -> "ComparisonSummary":
    """Compares existing runs, not retrained."""
    from convlstm_cli import compare as comparison
    from convlstm_cli.cli import arms
    from convlstm_cli.cli.console import stop_on_signals
    from convlstm_cli.runs.folders import new_folder

    runs, training = arms.trained_runs(request.folders, trained, request), request.training
    folder = request.output or new_folder(trained[0], "compare")
    scoring = EvaluateConfig(
        batch_size=training.batch_size or EvaluateConfig.batch_size,
        colormap=training.colormap,
        device=training.device,
        precision=training.precision,
    )
    with stop_on_signals() as should_stop:
        return comparison.compare_runs(runs, folder, scoring, progress=progress, should_stop=should_stop)


def _begin(config: CompareConfig, request: Request, progress: "Progress") -> "ComparisonSummary":
    """Trains the arms of a new comparison."""
    from convlstm_cli import compare as comparison
    from convlstm_cli.cli.arms import new_arms
    from convlstm_cli.cli.console import stop_on_signals
    from convlstm_cli.runs.folders import new_folder

    data, arms = new_arms(config, request, progress)
    folder = request.output or new_folder(request.folders[0], "compare")
    with stop_on_signals() as should_stop:
        return comparison.compare(data, arms, config, folder, progress=progress, should_stop=should_stop)


def _continue(begun: "Plan", config: CompareConfig, request: Request, progress: "Progress") -> "ComparisonSummary":
    """Trains what a comparison has not trained yet."""
    from convlstm_cli import compare as comparison
    from convlstm_cli.cli.arms import check_varied
    from convlstm_cli.cli.console import stop_on_signals

    check_varied(begun.compare, request)
    with stop_on_signals() as should_stop:
        return comparison.resume(begun, request.explicit(config), progress=progress, should_stop=should_stop)
