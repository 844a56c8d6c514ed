"""manifest.json: what a program that runs an exported network has to know."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from convlstm_cli.interop.program import FORECAST, FRAMES, HORIZON
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.values import BYTES, DECADES, ValueRange

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
"""Version of the manifest; it goes up when an entry that is there changes its meaning."""
FITS = {
    "pad": "the frame keeps its aspect, is as large as fits, and is centred, with black (0) around it.",
    "crop": "the frame keeps its aspect, and its centre fills the whole; what sticks out is cut away.",
    "stretch": "each side is scaled by itself, so the aspect may change.",
}
RESIZE = (
    "A side that shrinks is averaged by area, one that grows interpolated by cubics (OpenCV's INTER_AREA and "
    "INTER_CUBIC), and the result rounded if frames hold integers. Sizes are rounded to the nearest pixel, and an odd "
    "pixel of padding or cropping goes to the bottom or right. Padding is 0 for the network."
)
MASK = (
    "the last channel of frames is the share of the channels that have a value, 1 where no pixel is missing; in place "
    "of a missing pixel stands the nearest value of its channel in the frame, or else in the nearest frame."
)
LINEAR = "(value - low) / (high - low), clipped to [0, 1]"
LOGARITHMIC = f"log(1 + {DECADES:g} x) / log({DECADES + 1:g}) of x = {LINEAR}"
BY_BAND = "each channel by its entry in `values.bands`, in their order: "
UNSETTLED = "by the range of the frames at hand: 0 to 255 for bytes"
FILLED = "pixels without a value, NaN or `missing`, get the nearest one in their frame, or else in the nearest frame."
GREY = "0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601)"
Shape = tuple[str | int, ...]


@dataclass(frozen=True)
class FramesEntry:
    """The input of frames."""

    name: str
    layout: str
    shape: Shape
    dtype: str
    range: tuple[float, float]
    colour: str
    values: ValueRange | None
    """The values of a source that are 0 and 1; None for weights that go with any, such as those of made-up motion."""
    values_rule: str
    """How values become numbers in `range`."""
    missing: float | None
    """The value that stands for no data besides NaN; None where the videos of the training had none in common."""
    missing_rule: str
    fit: str
    fit_rule: str
    resize_rule: str
    grey_rule: str
    mask_rule: str | None
    """None where there is no mask."""
    guides: tuple[Guide, ...]
    """The channels that are read and not forecast, which stand behind the others, each with a range of its own."""


@dataclass(frozen=True)
class HorizonEntry:
    """The input of the horizon."""

    name: str
    dtype: str
    shape: Shape
    least: int
    trained: int


@dataclass(frozen=True)
class ForecastEntry:
    """The output."""

    name: str
    layout: str
    shape: Shape
    dtype: str
    range: tuple[float, float]
    colour: str
    values_rule: str
    """How numbers in `range` become values."""
    restore_rule: str


@dataclass(frozen=True)
class CheckEntry:
    """How far programs may differ from the network, and how far they do."""

    tolerance: float
    largest_difference: dict[str, float | None]
    """By the name of the program; None where there was nothing to run it with."""


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says."""

    format_version: int
    run: str
    versions: dict[str, str]
    frames: FramesEntry
    horizon: HorizonEntry
    forecast: ForecastEntry
    parameters: int
    network: ForecasterConfig
    test_scores: dict[str, Any] | None
    """Means over all lead times, by system and metric."""
    programs: Mapping[str, Any]
    """The dataclass of each program that was written, by the program's name."""
    check: CheckEntry

    def to_dict(self) -> dict[str, Any]:
        """The entries of manifest.json; each program is an entry of its own name."""
        content = asdict(self)
        check, programs = content.pop("check"), content.pop("programs")
        values, guides = self.frames.values, self.frames.guides
        content["frames"]["values"] = None if values is None else values.to_dict()
        content["frames"]["guides"] = [guide.to_dict() for guide in guides]
        return {**content, **programs, "check": check}


def describe(
    config: ForecasterConfig,
    fit: str,
    values: ValueRange | None = BYTES,
    missing: float | None = None,
    guides: tuple[Guide, ...] = (),
    *,
    run: str,
    versions: dict[str, str],
    parameters: int,
    test_scores: dict[str, Any] | None,
    programs: Mapping[str, Any],
    check: CheckEntry,
) -> Manifest:
    """The manifest of a network whose frames are fitted to its size by `fit`, one of FITS, and have such values."""
    size = config.height, config.width
    dtype, limits = "float32", (0.0, 1.0)
    colour = {1: "grey", 3: "RGB"}.get(config.channels, f"{config.channels} channels")
    return Manifest(
        FORMAT_VERSION,
        run,
        versions,
        FramesEntry(
            name=FRAMES,
            layout="batch, time (oldest first), channel, row (from the top), column (from the left)",
            shape=("batch", config.input_frames, config.read_channels, *size),
            dtype=dtype,
            range=limits,
            colour=colour,
            values=values,
            values_rule=_values_rule(values),
            missing=missing,
            missing_rule=FILLED,
            fit=fit,
            fit_rule=FITS[fit],
            resize_rule=RESIZE,
            grey_rule=GREY,
            mask_rule=MASK if config.mask else None,
            guides=guides,
        ),
        HorizonEntry(name=HORIZON, dtype="int64", shape=(), least=1, trained=config.horizon),
        ForecastEntry(
            name=FORECAST,
            layout="as frames; the first is the one after the last input frame",
            shape=("batch", "horizon", config.channels, *size),
            dtype=dtype,
            range=limits,
            colour=colour,
            values_rule="the inverse of that of frames",
            restore_rule="undo the fit: cut the padding away and resize to the source's size, where that is wanted",
        ),
        parameters,
        config,
        test_scores,
        programs,
        check,
    )


def _values_rule(values: ValueRange | None) -> str:
    """How values of a range become numbers in [0, 1], in words."""
    if values is None:
        return UNSETTLED
    return BY_BAND * bool(values.bands) + (LOGARITHMIC if values.first.log else LINEAR)
