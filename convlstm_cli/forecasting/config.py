"""The settings of a prediction: what is forecast and how it is written. Imports no torch and no OpenCV."""

import math
from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import (
    DEVICE_HELP,
    PRECISION_HELP,
    Precision,
    check_choice,
    check_most,
    check_seed,
    check_types,
    option,
    parse_names,
    parse_numbers,
    parse_size,
)
from convlstm_cli.video.colormaps import COLORMAP_CHOICES, COLORMAP_HELP, DEFAULT_COLORMAP, check_colormap
from convlstm_cli.video.config import check_channels, check_max_gap, check_missing, parse_channels, parse_range
from convlstm_cli.video.formats import OUTPUT_FORMATS, SOURCE

Names = Literal["number", "time"]

MIN_TILE = 16
"""Smallest side of a tile in pixels."""
CHANNELS_HELP = (
    "Channels of the source to use, by their positions from 0 or their names; those of the training if not given."
)
MISSING_HELP = "Value that means no data, if neither the source declares it nor --missing of the training named it."
LOG_HELP = "Map values to the network by their logarithm, where the training does not say how they are mapped."
"""Help of the options by which every command reads a source for a network that is trained already."""

MOST_MEMBERS = 1000
"""Most members of a forecast: more are a mistake."""
MOST_FRAMES = 1_000_000
"""Most frames of a forecast: more are a mistake, and fill a disk before anybody sees it."""


def _format_help() -> str:
    *names, last = OUTPUT_FORMATS
    return (
        f"What to write: any of {', '.join(names)} and {last}, with commas; {SOURCE} is the format of the source's own "
        "kind."
    )


def parse_tile(flag: str, text: str) -> int | Literal["auto"]:
    """`auto`, or a number of pixels. Raises UsageError that names `flag`."""
    if text.strip().lower() == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give auto, or the side of a tile in pixels such as 256.") from None


def check_member_count(members: int, without: str) -> None:
    """Raises UsageError for a number of --members that cannot be; `without` says how to ask for none."""
    if members < 2:
        raise UsageError(
            f"--members is {members}; give at least 2, since a spread needs them, or {without} for a single forecast."
        )
    check_most("--members", members, MOST_MEMBERS)


@dataclass(frozen=True)
class PredictConfig:
    """The settings of a prediction: what is forecast and how it is written."""

    frames: int | None = option(None, "Frames to forecast; as many as the run was trained to forecast if not given.")
    at: int | None = option(
        None, "Number of the last frame to read, counting from 1; the last frame of the video if not given."
    )
    formats: tuple[str, ...] = option(
        ("png", "webm", SOURCE),
        _format_help(),
        flag="--format",
        parse=parse_names,
    )
    names: Names = option(
        "number",
        "Names of the images that --format png and geotiff write: number (frame_000001.png), or time, which the frame "
        "is forecast for (20240101T0450.png), where the dates of the input are known.",
    )
    size: str = option(
        "source",
        "Size of the written frames: source, or model for the size that the model works at. A size in pixels, N or "
        "HEIGHTxWIDTH, is the one that the model works at, in place of that of its training.",
        metavar="source|model|N|HxW",
    )
    native_size: bool = option(
        False,
        "Forecast at the size of the source instead of that of the training, whatever --fit was. Not for runs with "
        "--peephole full, whose weights hold for one size. The "
        "shipped weights (pretrained) do so without it, up to 768 pixels a side.",
    )
    tile: int | Literal["auto"] = option(
        "auto",
        "Side in pixels of the tiles that --native-size computes; auto is the whole frame if it fits into memory, "
        "otherwise the largest tile that does.",
        parse=parse_tile,
    )
    tile_overlap: int | None = option(
        None, "Pixels over which neighbouring tiles are blended; derived from the network if not given."
    )
    guard: bool = option(
        True,
        "Check the forecast on the last input frames, which it forecasts from those before, and mix it with copying, "
        "the linear trend and optical flow by how well each of them does there. Members that "
        "networks draw from noise are mixed too, and get a share of the errors that they made there.",
    )
    members: int | None = option(
        None,
        "Possible futures to forecast: writes each of them, their mean, which is the forecast, and their spread. For "
        "networks that read noise, as the shipped weights for members do; else as many as there are runs.",
    )
    seed: int = option(0, "Seed of the members; the same one gives the same members.")
    quantiles: tuple[float, ...] = option(
        (),
        "Quantiles of the members to write, such as 0.1,0.5,0.9.",
        parse=parse_numbers,
        metavar="Q,Q,...",
    )
    exceed: tuple[float, ...] = option(
        (),
        "Values, such as 1.0,5, for each of which to write the share of the members that reach it. In the unit of the "
        "source, and between 0 and 1 for 8-bit pictures.",
        parse=parse_numbers,
        metavar="VALUE,VALUE,...",
    )
    fps: float | None = option(
        None,
        "Frames per second of written videos; those of the source if not given, or 10 if it has none or is a sequence "
        "of images more than a second apart.",
    )
    max_gap: float | None = option(
        None,
        "Longest step from one input frame to the next, in usual steps; frames before a longer one are not read. That "
        "of the training if not given.",
    )
    channels: tuple[int | str, ...] | None = option(
        None,
        CHANNELS_HELP,
        parse=parse_channels,
        metavar="NAME,NAME,...",
    )
    missing: float | None = option(None, MISSING_HELP)
    value_range: str | None = option(
        None,
        "Values LOW,HIGH of the source, such as 0,80, that become the least and the largest for the network; others "
        "are clipped. Those of the training if it was not of 8-bit pictures, else what the source declares, else "
        "all values of the input but for a few that lie far apart.",
        flag="--range",
        metavar="LOW,HIGH",
    )
    log: bool = option(False, LOG_HELP)
    colormap: str = option(DEFAULT_COLORMAP, COLORMAP_HELP, choices=COLORMAP_CHOICES)
    device: str = option("auto", DEVICE_HELP)
    precision: Precision = option("auto", PRECISION_HELP)

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("--precision", self.precision, Precision)
        check_choice("--names", self.names, Names)
        if self.names == "time" and not {"png", "geotiff", SOURCE} & set(self.formats):
            raise UsageError("--names time names images; add png to --format.")
        if self.max_gap is not None:
            check_max_gap(self.max_gap)
        check_missing(self.missing)
        check_colormap(self.colormap)
        if self.value_range is not None:
            parse_range("--range", self.value_range)
        if self.channels is not None:
            check_channels(self.channels)
        if self.working_size is not None and self.native_size:
            raise UsageError(f"--size is {self.size} and --native-size works at that of the source; give one of them.")
        for name in self.formats:
            check_choice("--format", name, (*OUTPUT_FORMATS, SOURCE))
        if not self.formats:
            raise UsageError("--format names no format; give at least one, such as png.")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"--frames is {self.frames}; it must be at least 1.")
        if self.at is not None and self.at < 1:
            raise UsageError(f"--at is {self.at}; it must be at least 1 (frames count from 1).")
        check_most("--frames", self.frames or 1, MOST_FRAMES)
        for flag, given in (("--tile", self.tile != "auto"), ("--tile-overlap", self.tile_overlap is not None)):
            if given and not self.native_size:
                raise UsageError(f"{flag} goes with --native-size; add that, or leave {flag} out.")
        if self.tile != "auto" and self.tile < MIN_TILE:
            raise UsageError(f"--tile is {self.tile}; give auto or at least {MIN_TILE} pixels.")
        if self.tile_overlap is not None and self.tile_overlap < 0:
            raise UsageError(f"--tile-overlap is {self.tile_overlap}; it must not be negative.")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"--fps is {self.fps}; give frames per second above 0 and up to 1000.")
        self._check_members()

    def _check_members(self) -> None:
        if self.members is not None:
            check_member_count(self.members, "leave it out")
        check_seed(self.seed)
        for flag, name in (("--quantiles", "quantiles"), ("--exceed", "exceed")):
            values = tuple(dict.fromkeys(map(float, getattr(self, name))))
            object.__setattr__(self, name, values)
            if not all(map(math.isfinite, values)):
                raise UsageError(f"{flag} has {','.join(map(str, values))}; give finite numbers.")
        for value in self.quantiles:
            if not 0 < value < 1:
                raise UsageError(f"--quantiles has {value:g}; give some above 0 and below 1, such as 0.1,0.5,0.9.")

    @property
    def asks_for_members(self) -> bool:
        """Whether members are written, or something is made of them beside their mean and spread."""
        return self.members is not None or bool(self.quantiles or self.exceed)

    @property
    def working_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that the model is asked to work at; None leaves it to the run and the source."""
        return None if self.size in ("source", "model") else parse_size(self.size)

    @property
    def writes_model_size(self) -> bool:
        """Whether frames are written at the size that the model works at."""
        return self.size == "model"
