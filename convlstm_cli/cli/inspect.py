"""`convlstm inspect`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from convlstm_cli.cli.arguments import VIDEOS, AsJson, Quiet, Size, Verbose
from convlstm_cli.cli.options import build, with_options
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.settings import parse_size
from convlstm_cli.video.config import DataConfig


@with_options(VIDEOS)
def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            help="A video, a folder of videos, a run, pretrained or a comparison.", metavar="VIDEO|FOLDER|RUN"
        ),
    ],
    size: Size = "64",
    frames: Annotated[
        int, typer.Option(help="Frames to forecast in each clip.", rich_help_panel="Videos")
    ] = ForecasterConfig.horizon,
    input_frames: Annotated[
        int, typer.Option(help="Frames to read in each clip before those to forecast.", rich_help_panel="Videos")
    ] = ForecasterConfig.input_frames,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Show what a video, a folder of videos, a run or a comparison holds."""
    from convlstm_cli.cli import console, inspection
    from convlstm_cli.cli import inspection_views as views
    from convlstm_cli.cli.comparison_view import comparison_view, unfinished_view
    from convlstm_cli.cli.inspected import Found
    from convlstm_cli.runs.comparisons import SUMMARY, UnfinishedComparison, is_comparison
    from convlstm_cli.runs.record import damaged
    from convlstm_cli.runs.run import Run
    from convlstm_cli.video.data import prepare
    from convlstm_cli.video.search import find_videos
    from convlstm_cli.weights.pretrained import is_pretrained

    height, width = parse_size(size)
    config = build(DataConfig, options, folders=(path,), height=height, width=width)
    found: Found
    if is_comparison(path):
        found = inspection.inspect_comparison(path)
        with damaged(path / SUMMARY, "convlstm compare --resume writes it anew"):
            view = unfinished_view(found) if isinstance(found, UnfinishedComparison) else comparison_view(found)
    elif is_pretrained(path):
        found = inspection.inspect_weights()
        view = views.weights_view(found)
    elif Run.is_run(path):
        found = inspection.inspect_run(Run.open(path))
        view = views.run_view(found)
    elif [video.path for video in find_videos([path]).videos] != [path]:
        on_video = console.ConsoleProgress(quiet, verbose).indexing
        data = prepare(config, input_frames, frames, on_video, one_rate=False)
        found = inspection.inspect_data(data)
        view = views.data_view(found)
    else:
        found = inspection.inspect_video(path, config.pace, config.missing, config.channels)
        view = views.video_view(found)
    console.show_json(found.to_dict()) if json else console.show(*view)
