"""`convlstm evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from convlstm_cli.cli.arguments import AsJson, Quiet, Verbose
from convlstm_cli.cli.options import build, with_options
from convlstm_cli.scoring.config import EvaluateConfig


@with_options((EvaluateConfig, "Evaluation"))
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder to score, or pretrained.")],
    others: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN|FOLDER",
            help="More runs, to score the mean of all their forecasts; then folders of videos, whose frames are scored "
            "unless the run was trained on them. Without a FOLDER, the test videos of RUN are scored.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to make; RUN/evaluation-1, -2, ... if not given.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Score a run, and its members, beside what needs no training: copying, the linear trend, optical flow."""
    from convlstm_cli import evaluate as evaluation
    from convlstm_cli.cli import console
    from convlstm_cli.cli.evaluation_view import evaluation_view
    from convlstm_cli.compute.distributed import check_one_process
    from convlstm_cli.files import check_absent
    from convlstm_cli.forecasting.ensemble import open_members
    from convlstm_cli.paths import quoted
    from convlstm_cli.reporting import scorecard
    from convlstm_cli.weights.pretrained import free_folder, means_run

    check_one_process("evaluate")
    config = build(EvaluateConfig, options)
    members = [path for path in others or () if means_run(path)]
    folders = [str(path) for path in others or () if path not in members]
    runs = open_members([run, *members])
    if output is not None:
        check_absent(output)  # before anything is computed
    progress = console.ConsoleProgress(quiet, verbose)
    report = evaluation.evaluate(runs, folders, config, progress)
    folder = output or free_folder(run, "evaluation")
    scorecard.write_scorecard(report, folder)
    console.show_json(report.to_dict()) if json else console.show(*evaluation_view(report))
    scored = ", members.csv" if report.members is not None else ""
    progress.note(
        f"wrote {folder} (evaluation.json, scores.csv{scored}, report.html, by_lead_time.png, worst.png, best.png)"
    )
    progress.note(
        f"next: convlstm predict VIDEO {'-m' if len(runs) == 1 else '--ensemble'} "
        f"{' '.join(quoted(member.folder) for member in runs)}{f' --members {config.members}' * bool(config.members)}"
    )
