"""`convlstm watch`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from convlstm_cli.cli.arguments import AsJson, Model, Quiet, Verbose
from convlstm_cli.cli.options import build, with_options
from convlstm_cli.errors import ConvLSTMError
from convlstm_cli.watching.config import WatchConfig


@with_options((WatchConfig, "Watching"))
def watch(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO", help="Videos, image folders, arrays, or folders of them.")
    ],
    model: Model = None,
    normal: Annotated[
        list[Path] | None,
        typer.Option(
            "--normal",
            help="Videos of normal behaviour, or a folder of them, best of the same camera, whose scores say what is "
            "rare; repeat the option for more. If not given, the validation and test videos of the run, or else the "
            "first part of the video itself.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the results; watched/RUN if not given.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Find the moments of videos that do not follow from what came before.

    Scores each frame by how improbable it is after those before it, and raises an alarm where normal frames would do so
    no more often than --false-alarms an hour.
    """
    from convlstm_cli import watch as watching
    from convlstm_cli.cli import console, watched_view
    from convlstm_cli.cli.chosen_run import chosen_run
    from convlstm_cli.compute.distributed import check_one_process

    check_one_process("watch")
    config = build(WatchConfig, options)
    progress = console.ConsoleProgress(quiet, verbose)
    run = chosen_run(model, progress)
    folder = output or Path("watched") / run.name
    found, failures = [], []
    for source, outcome in watching.watch(videos, run, folder, config, progress, normal or ()):
        if isinstance(outcome, ConvLSTMError):
            failures.append({"source": str(source), "error": str(outcome)})
            console.show_error(str(outcome))
        else:
            found.append(outcome)
            if not json:
                console.show(*watched_view.watched_view(outcome))
    if json:
        console.show_json({"run": str(run.folder), "watched": [each.to_dict() for each in found], "failures": failures})
    if found:
        progress.note(
            f"wrote {', '.join(sorted({str(each.folder) for each in found}))} (worst.webm, plot.png, "
            "scores.csv, watch.json)"
        )
    if failures:
        raise typer.Exit(1)
