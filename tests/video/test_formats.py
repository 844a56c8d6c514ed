"""The registry of output formats, and what reads it."""

import re
from pathlib import Path

import pytest
import typer.testing
from video_helpers import MakeFrames, write

from convlstm_cli.cli.app import app
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.video.formats import OUTPUT_FORMATS, OutputFormat
from convlstm_cli.video.writers.base import FrameWriter

README = Path(__file__).parents[2] / "convlstm_cli" / "README.md"


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS.values(), ids=lambda each: each.name)
def test_every_format_has_a_writer_that_writes_what_it_says(
    output_format: OutputFormat, tmp_path: Path, make_frames: MakeFrames
) -> None:
    assert issubclass(output_format.load_writer(), FrameWriter)
    written = write(tmp_path / "a", output_format.name, make_frames(2))
    assert written.is_dir() == output_format.is_folder
    assert written.suffix == output_format.suffix
    assert output_format.doc


def test_help_and_readme_name_every_format() -> None:
    pages = typer.testing.CliRunner().invoke(app, ["predict", "--help"]).stdout, README.read_text(encoding="utf-8")
    for page in pages:
        for name in OUTPUT_FORMATS:
            assert re.search(rf"\b{name}\b", page), name


def test_the_formats_of_a_prediction_are_those_of_the_registry() -> None:
    assert PredictConfig(formats=tuple(OUTPUT_FORMATS)).formats == tuple(OUTPUT_FORMATS)
