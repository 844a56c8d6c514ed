"""The colour maps that pictures of measured values can be drawn with. Imports no torch, no OpenCV and no matplotlib."""

from dataclasses import dataclass

from convlstm_cli.registry import Registry
from convlstm_cli.settings import check_choice

NO_COLORMAP = "none"
"""The --colormap that stands for shades of grey."""


@dataclass(frozen=True)
class Colormap:
    """A colour map of 256 colours."""

    name: str
    """As --colormap takes it; matplotlib's name of it."""
    doc: str
    """What it is like, in a few words."""
    opencv: str
    """Name of OpenCV's constant, whose colours are those of matplotlib to one level of 255."""


COLORMAPS = Registry(
    "colour map",
    (
        Colormap("viridis", "perceptually uniform", "COLORMAP_VIRIDIS"),
        Colormap("cividis", "uniform, also for people who confuse red and green", "COLORMAP_CIVIDIS"),
        Colormap("inferno", "uniform, from black", "COLORMAP_INFERNO"),
        Colormap("magma", "uniform, from black", "COLORMAP_MAGMA"),
        Colormap("plasma", "uniform", "COLORMAP_PLASMA"),
        Colormap("turbo", "a rainbow, not uniform", "COLORMAP_TURBO"),
    ),
)
DEFAULT_COLORMAP = "viridis"
COLORMAP_CHOICES = (*COLORMAPS, NO_COLORMAP)
COLORMAP_HELP = (
    "Colours of pictures, films and reports of measured values, that is of one channel whose range is not that of a "
    f"photograph: {', '.join(f'{each.name} ({each.doc})' for each in COLORMAPS.values())}, or none for shades of "
    "grey. Photographs stay as they are."
)


def check_colormap(name: str) -> None:
    """Raises UsageError for a --colormap that there is not."""
    check_choice("--colormap", name, COLORMAP_CHOICES)
