"""What all charts share: figures of matplotlib in the page's own ink, and their text as SVG."""

import contextlib
import hashlib
import html
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

INK = "#7f8c9b"
"""Colour of axes and text, readable on white and on black; a page replaces it by its own."""
WIDTH = 3.6
"""Width in inches of a chart of lines; a page shows two in a row or, on a phone, one."""


@contextlib.contextmanager
def drawing_style() -> Iterator[None]:
    """Figures that are made and drawn within have the style of all charts."""
    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = {
        **dict.fromkeys(ink, INK),
        "font.family": "DejaVu Sans",  # measures text, and is wider than the fonts that most systems show
        "font.size": 8.5,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,  # names may have dollar signs
        "svg.fonttype": "none",
        "svg.hashsalt": "convlstm",
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # browsers have the glyphs that the font lacks
        yield


def settle(figure: Figure, canvas: type[FigureCanvasBase], dpi: float) -> None:
    """Places the parts of a figure for good, as `savefig` with this kind of canvas and resolution would.

    `savefig` draws a figure that has a layout engine once more than one that has none.
    """
    canvas(figure)
    figure.dpi = dpi
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)


def new_figure(height: float, x_label: str, y_label: str, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of this size in inches, with its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def as_percent(share: float, _: int = 0) -> str:
    """A share as the labels of axes show it; the second argument is the position that matplotlib gives."""
    return f"{round(100 * share, 6):g} %".replace("-", "−")


PERCENT = FuncFormatter(as_percent)


def to_svg(figure: Figure, alt: str) -> str:
    """A figure as an SVG element that scales, takes the page's ink, and has ids that no other chart has."""
    file = io.StringIO()
    settle(figure, FigureCanvasSVG, FigureCanvasSVG.fixed_dpi)
    figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = "c" + hashlib.sha256((alt + text).encode()).hexdigest()[:10]  # ids are global in a page
    used = set(re.findall(r'(?:xlink:href="|url\()#([\w-]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\g<1>#{prefix}-", text)
    text = re.sub(r"\n\s*", "\n", text).replace(INK, "currentColor").replace("'DejaVu Sans'", "system-ui, sans-serif")
    view_box = re.search(r'viewBox="[^"]*"', text)
    assert view_box is not None
    head = f'<svg class="chart" {view_box[0]} role="img" aria-label="{html.escape(alt)}"'
    return head + ' xmlns:xlink="http://www.w3.org/1999/xlink">' + text[text.index(">") + 1 :]


def name_rows(axes: Axes, names: Sequence[str], margin: float) -> None:
    """Labels the rows, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + margin, -margin)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
