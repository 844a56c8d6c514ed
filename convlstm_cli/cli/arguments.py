"""Arguments, options and panels that several commands share, so that they are spelt the same in each."""

from pathlib import Path
from typing import Annotated

import typer

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.presets import Preset
from convlstm_cli.video.config import DataConfig

VIDEOS = (DataConfig, "Videos")
NETWORK = (ForecasterConfig, "Network")
TRAINING = (TrainConfig, "Training")

Model = Annotated[
    Path | None,
    typer.Option(
        "-m",
        "--model",
        help="Run folder, or pretrained for the shipped weights; the newest under runs/ if not given, or pretrained if "
        "there is none.",
    ),
]
Size = Annotated[
    str,
    typer.Option(
        help="Frame size that the network works at, in pixels: N for square frames, or HEIGHTxWIDTH.",
        rich_help_panel="Videos",
    ),
]
UsePreset = Annotated[
    Preset,
    typer.Option(
        "--preset",
        help="A set of options: small (the defaults), mse (the least squared error on many videos of one kind, by "
        "blurrier frames), base (a larger network, for hours or a GPU) or paper (Shi et al. 2015 as published). "
        "Options that you give override it.",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only results and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print a line of progress every few seconds, for logs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
