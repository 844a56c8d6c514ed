"""Makes the README's animated picture: the input, the true future and a run's forecast of it, side by side.

.venv/bin/python scripts/make_readme_picture.py runs/quickstart
.venv/bin/python scripts/make_readme_picture.py RUN VIDEO VIDEO --at 30 --output picture.gif

Each video is one row. Without a VIDEO, the script takes one test video from each folder of the run's training data.
The picture first plays the input frames, then the truth and the forecast in step. Frames keep their grey values, or
colours, and their pixels; they are only enlarged.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bench.terminal import say
from convlstm_cli import open_video
from convlstm_cli.errors import ConvLSTMError, InputError
from convlstm_cli.files import replacing
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.predict import predict
from convlstm_cli.runs.run import Run
from convlstm_cli.video.colour import to_channels

Frames = npt.NDArray[np.uint8]
"""(T, H, W, 3) RGB."""

COLUMNS = ("input", "truth", "forecast")
SIDE, GAP, HEADER = 192, 12, 34
"""Pixels: the longest side of a shown frame, the space around it, and the height of the line of text."""
SECONDS, LAST_SECONDS = 0.2, 1.2
"""How long each picture stays, and the last one, so that a reader sees where the forecast ends."""
PAPER, INK, FAINT, FUTURE = (255, 255, 255), (36, 41, 47), (234, 238, 242), (9, 105, 218)
"""Background, text, empty panels, and the frame around panels that show the future."""


@dataclass(frozen=True)
class Row:
    """One video: its input frames, the true future, and the forecast of it."""

    input: Frames
    truth: Frames
    forecast: Frames


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a trained run, such as runs/quickstart")
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="one for each row of the picture")
    parser.add_argument("--at", type=int, default=20, help="number of the last input frame, counted from 1")
    parser.add_argument("--frames", type=int, help="lead times; as many as in training if not given")
    parser.add_argument("--output", type=Path, default=Path(".github/forecast.gif"), metavar="FILE.gif")
    given = parser.parse_args()
    try:
        run = Run.open(given.run)
        rows = [row(run, video, given.at, given.frames) for video in given.videos or one_of_each_folder(run)]
        given.output.parent.mkdir(parents=True, exist_ok=True)
        write(given.output, rows)
    except ConvLSTMError as error:
        say(f"error: {error}")
        return error.exit_code
    say(f"wrote {given.output}, {given.output.stat().st_size / 1e3:.0f} kB")
    return 0


def one_of_each_folder(run: Run) -> list[Path]:
    """The first test video of each folder that the run's videos lie in."""
    found: dict[Path, Path] = {}
    for part in run.config["data"]["split"]["test"]:
        found.setdefault(Path(part["video"]).parent, Path(part["path"]))
    return list(found.values())


def row(run: Run, video: Path, at: int, frames: int | None) -> Row:
    """Forecasts a video from frame `at` on. Raises ConvLSTMError where the video is unusable or too short."""
    with tempfile.TemporaryDirectory(prefix="convlstm-") as folder:
        config = PredictConfig(at=at, frames=frames, formats=("npy",))
        [(_, outcome)] = predict([video], run, Path(folder), config)
        if isinstance(outcome, ConvLSTMError):
            raise outcome
        forecast = np.load(outcome.folder / "forecast.npy")
    with open_video(video) as reader:
        known = np.stack([to_channels(frame, 3) for frame in reader])
    if len(known) < at + len(forecast):
        raise InputError(f"{video}: has {len(known)} frames; --at {at} needs {at + len(forecast)} to show the truth.")
    forecast = forecast if forecast.ndim == 4 else forecast[..., None].repeat(3, axis=-1)
    return Row(known[outcome.first_input_frame - 1 : at], known[at : at + len(forecast)], forecast)


def write(path: Path, rows: list[Row]) -> None:
    """Writes the animation as a GIF that repeats forever."""
    seen = min(len(one.input) for one in rows)
    ahead = min(len(one.forecast) for one in rows)
    first, *others = (picture(rows, time) for time in range(1 - seen, ahead + 1))
    durations = [*[1000 * SECONDS] * len(others), 1000 * LAST_SECONDS]
    with replacing(path) as partial:
        first.save(partial, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def picture(rows: list[Row], time: int) -> Image.Image:
    """The picture at one time: up to 0 the input frames, the last of which is 0; above 0 the lead times."""
    panels = [panels_at(one, time) for one in rows]
    heights = [panel[0].height for panel in panels]
    width = GAP + len(COLUMNS) * (SIDE + GAP)
    page = Image.new("RGB", (width, HEADER + sum(heights) + GAP * len(rows)), PAPER)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(16)
    for column, name in enumerate(COLUMNS):
        shown = f"{name}  +{time}" if column and time > 0 else name
        draw.text((GAP + column * (SIDE + GAP), HEADER / 2), shown, INK, font, anchor="lm")
    top = HEADER
    for line, height in zip(panels, heights, strict=True):
        for column, panel in enumerate(line):
            left = GAP + column * (SIDE + GAP)
            page.paste(panel, (left, top))
            if column and time > 0:
                draw.rectangle((left - 3, top - 3, left + panel.width + 2, top + height + 2), outline=FUTURE, width=2)
        top += height + GAP
    return page.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def panels_at(one: Row, time: int) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The three panels of a row; the last input frame stays, and the future is empty before it begins."""
    now = enlarged(one.input[len(one.input) - 1 + min(time, 0)])
    if time < 1:
        empty = Image.new("RGB", now.size, FAINT)
        return now, empty, empty
    return now, enlarged(one.truth[time - 1]), enlarged(one.forecast[time - 1])


def enlarged(frame: npt.NDArray[np.uint8]) -> Image.Image:
    """(H, W, 3) with its longest side scaled to SIDE pixels."""
    height, width = (round(side * SIDE / max(frame.shape[:2])) for side in frame.shape[:2])
    return Image.fromarray(frame).resize((width, height), Image.Resampling.NEAREST)


if __name__ == "__main__":
    sys.exit(main())
