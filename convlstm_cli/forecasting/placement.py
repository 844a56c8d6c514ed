"""What a forecast takes on from its source: the format of its own kind, its coordinates, its times, its unit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convlstm_cli.errors import DependencyError
from convlstm_cli.forecasting.prepared import Prepared
from convlstm_cli.forecasting.times import Schedule
from convlstm_cli.progress import Progress
from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.formats import OUTPUT_FORMATS, SOURCE
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.source import Placement, SourceFacts
from convlstm_cli.video.writers.arrangement import REFERENCES

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
    fps: float
    """Frames per second of films."""
    names: Sequence[str] | None
    """Names of images, without their suffix; None numbers them."""


def of_shares(placement: Placement, value: float) -> Placement:
    """The placement of maps of the share of members that reach a value, beside frames of this one."""
    reached = f"is at least {value:g} {placement.unit}".rstrip()
    return _beside(placement, "exceedance", f"share of members in which {_name(placement)} {reached}", "1")


def of_spread(placement: Placement) -> Placement:
    """The placement of maps of the standard deviation over members, beside frames of this one."""
    title = f"standard deviation of {_name(placement)} over the members"
    return _beside(placement, "spread", title, placement.unit)


def _name(placement: Placement) -> str:
    return placement.source.name.rpartition("/")[2] or "the value"


def _beside(placement: Placement, name: str, title: str, unit: str) -> Placement:
    """The placement of floats of another meaning at the places and times of frames of this one."""
    source = placement.source
    group = source.name.rpartition("/")[0]
    references = {key: each for key, each in source.attributes.items() if key in REFERENCES}
    others = replace(
        source,
        name=f"{group}/{name}" if group else name,
        dtype="",
        packing=Packing(),
        attributes=references | {"long_name": title} | ({"units": unit} if unit else {}),
        tags=tuple(tag for tag in source.tags if tag.code != gdal_metadata.TAG),
    )
    return replace(placement, source=others, unit=unit, missing=None)


def plan_writing(
    asked: Sequence[str], video: VideoReader, prepared: Prepared, schedule: Schedule, progress: Progress
) -> Writing:
    """How a forecast of a video is written in the formats that are asked for."""
    facts, clip, conversion = prepared.facts, prepared.clip, prepared.conversion
    formats = formats_for(asked, facts, video.path, progress)
    unit = video.unit or conversion.values.unit
    placement = Placement(facts, prepared.horizon, schedule.seconds, clip.start, clip.last, unit, conversion.missing)
    located = facts.tags or any(each.dims for each in facts.variables)
    if located and not placement.fits(*conversion.size) and any(OUTPUT_FORMATS[name].placed for name in formats):
        height, width = conversion.size
        progress.note(
            f"{video.path}: its coordinates hold for its own size, and are left out of a forecast of {height}x{width} "
            "pixels; leave out --size model to keep them."
        )
    return Writing(formats, placement, schedule.fps, schedule.names)
