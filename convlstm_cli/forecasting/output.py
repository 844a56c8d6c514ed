"""Writes the frames of a forecast in every format that is asked for, in a thread of its own."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from convlstm_cli.compute.background import in_background
from convlstm_cli.forecasting.look import Look
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.source import Placement
from convlstm_cli.video.writers import open_writer
from convlstm_cli.video.writers.base import FrameWriter

WAITING = 8
"""Frames that may wait to be written: few for memory, enough that computing and writing overlap."""
SCORED = Path("scored", "truth-and-forecast")
"""Stem of what a scored forecast adds; in a folder of its own, so that the frames beside it stay an image sequence."""


@contextlib.contextmanager
def writing_forecast(
    folder: Path,
    look: Look,
    formats: Sequence[str],
    fps: float,
    placement: Placement,
    *,
    scored: bool,
    names: Sequence[str] | None = None,
) -> Iterator[Callable[[Frame, Frame | None], None]]:
    """Yields a function that takes each frame of the forecast, and the true frame where that is known.

    It hands them to a thread, which writes the forecast in each format and, where `scored`, also the truth beside the
    forecast, in the formats of one file that say nothing of where and when their frames are. `placement` is what the
    others say; `names` are those of the forecast's images, and None numbers them. All files are complete when the block
    ends well.

    Raises OutputError where a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        alone = _open(stack, folder / "forecast", formats, fps, names, placement)
        files = [name for name in formats if not (OUTPUT_FORMATS[name].is_folder or OUTPUT_FORMATS[name].placed)]
        both = _open(stack, folder / SCORED, files, fps) if scored else []

        def write(frame: Frame, true: Frame | None) -> None:
            frame = look.forecast(frame)
            _write(alone, frame, look)
            if both and true is not None:
                _write(both, np.hstack((look.coloured(true), frame)), look)

        # Entered last, so that the thread has ended before a writer is closed.
        yield stack.enter_context(in_background(write, ahead=WAITING))


def _write(writers: Sequence[FrameWriter], frame: Frame, look: Look) -> None:
    """Gives each writer the frame itself, if it keeps such values, or else a picture of it, with alpha if it can.

    A film is in colours.
    """
    for writer in writers:
        if writer.is_preview and look.has_colours:
            writer.write(look.preview(frame))
        else:
            writer.write(frame if writer.keeps(frame) else look.picture(frame, alpha=writer.takes_alpha))


def _open(
    stack: contextlib.ExitStack,
    stem: Path,
    formats: Sequence[str],
    fps: float,
    names: Sequence[str] | None = None,
    placement: Placement | None = None,
) -> list[FrameWriter]:
    """A writer for each format: to `stem` with the format's suffix, or of images into the folder of `stem`."""
    writers = []
    for name in formats:
        output_format = OUTPUT_FORMATS[name]
        images = output_format.layout == "images"
        path = stem.parent / output_format.folder if images else stem.with_suffix(output_format.suffix)
        writers.append(stack.enter_context(open_writer(path, name, fps, names=names, placement=placement)))
    return writers
