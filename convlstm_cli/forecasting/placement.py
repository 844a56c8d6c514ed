"""What a forecast takes on from its source: the format of its own kind, its coordinates, its times, its unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.errors import DependencyError
from convlstm_cli.forecasting.clip import InputClip
from convlstm_cli.forecasting.look import Look
from convlstm_cli.forecasting.times import Schedule
from convlstm_cli.progress import Progress
from convlstm_cli.video.formats import OUTPUT_FORMATS, SOURCE
from convlstm_cli.video.readers.base import VideoReader
from convlstm_cli.video.source import Placement, SourceFacts

OF_VIDEOS = "webm"
"""The format for the forecast of a video, whose own codec may have no encoder here."""
INSTEAD = "npy"
"""The format in place of one whose library is missing."""


def formats_for(asked: Sequence[str], facts: SourceFacts, source: Path, progress: Progress) -> tuple[str, ...]:
    """The formats of a forecast, with that of the source's own kind in place of `source`.

    Where nobody asked for that by its name and its library is missing, a note says how to install it.
    """
    if SOURCE not in asked:
        return tuple(asked)
    own = facts.format or OF_VIDEOS
    if own not in asked:
        try:
            OUTPUT_FORMATS[own].check_library()
        except DependencyError as error:
            progress.note(f"{source}: is forecast as {INSTEAD} and not as {own}: {error}")
            own = INSTEAD
    return tuple(dict.fromkeys(own if name == SOURCE else name for name in asked))


def check_formats(asked: Sequence[str]) -> None:
    """Raises DependencyError, with the line that installs it, for a format whose library is missing."""
    for name in asked:
        if name != SOURCE:
            OUTPUT_FORMATS[name].check_library()


@dataclass(frozen=True)
class Writing:
    """How the frames of a forecast are written."""

    formats: tuple[str, ...]
    placement: Placement
    """What the formats say of the frames."""


def plan_writing(
    asked: Sequence[str],
    video: VideoReader,
    facts: SourceFacts,
    clip: InputClip,
    look: Look,
    schedule: Schedule,
    frames: int,
    progress: Progress,
) -> Writing:
    """How a forecast of so many frames is written in the formats that are asked for; `facts` are those of the video."""
    formats = formats_for(asked, facts, video.path, progress)
    unit = video.unit or look.values.unit
    placement = Placement(facts, frames, schedule.seconds, clip.start, clip.last, unit, look.missing)
    located = facts.tags or any(each.dims for each in facts.variables)
    if located and not placement.fits(*look.size) and any(OUTPUT_FORMATS[name].placed for name in formats):
        height, width = look.size
        progress.note(
            f"{video.path}: its coordinates hold for its own size, and are left out of a forecast of {height}x{width} "
            "pixels; leave out --size model to keep them."
        )
    return Writing(formats, placement)
