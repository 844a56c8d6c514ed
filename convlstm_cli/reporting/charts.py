"""Charts as SVG text for a page, in the page's own ink. The page shows one legend for all of them."""

import contextlib
import hashlib
import html
import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from convlstm_cli.reporting.pictures import Image
from convlstm_cli.reporting.styles import Style

INK = "#7f8c9b"
"""Colour of axes and text, readable on white and on black; a page replaces it by its own."""
WIDTH = 3.6
"""Width in inches of a chart of lines; a page shows two in a row or, on a phone, one."""
NARROW = 3.1
"""Width in inches of a chart of bars; a page shows three in a row."""
ROW = 0.15
"""Height of a bar in inches."""
LETTERS = 16
"""Length of a name on an axis before it is wrapped."""
DECADES = 5.0
"""Largest over least value of a learning curve above which its axis is logarithmic."""
MARKED = 30
"""Most values of a line that get a marker each."""
COLOUR_MAP = "RdBu_r"
"""Diverging, and readable by the colour-blind."""


Ends = Sequence[float | None]
"""Low and high of an interval; None where an end is infinite."""


@dataclass(frozen=True)
class Line:
    """Values over lead times or steps; None leaves a gap."""

    values: Sequence[float | None]
    style: Style
    at: Sequence[float] | None = None
    """Positions on the x axis; 1, 2 and so on if None."""
    interval: Sequence[Ends | None] | None = None
    """Low and high of each value."""
    solid: Sequence[bool] | None = None
    """Whether the marker of each value is filled; None for the plain markers of a line."""
    width: float = 1.5


def line_chart(
    alt: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    zero: str = "",
    ideal: float | None = None,
    percent: bool = False,
) -> str:
    """Lines, each with its interval shaded.

    Args:
        alt: what the chart shows, for those who cannot see it.
        lines: from the back to the front.
        x_label, y_label: of the axes.
        zero: "bottom" begins the y axis at 0, "line" draws a line there.
        ideal: value at which a dotted line is drawn.
        percent: whether the values are shares.
    """
    with _drawing():
        figure, axes = _figure(2.45, x_label, y_label)
        for order, line in enumerate(lines, start=3):
            _draw_line(axes, line, order)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        if lines and max(len(line.values) for line in lines) == 1:
            axes.margins(x=1.0)
        if zero == "bottom":
            axes.set_ylim(bottom=0)
        if zero == "line":
            axes.axhline(0, color=INK, linewidth=0.8)
        if ideal is not None:
            axes.axhline(ideal, color=INK, linewidth=0.8, linestyle=":")
        if percent:
            axes.yaxis.set_major_formatter(_PERCENT)
        return _svg(figure, alt)


def rank_chart(alt: str, bars: Line, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Shares of ranks: those of one system as bars, those of others as lines, and a dotted line at even shares."""
    with _drawing():
        figure, axes = _figure(2.45, x_label, y_label)
        shares = [np.nan if value is None else value for value in bars.values]
        axes.bar(list(bars.at or range(len(shares))), shares, width=0.9, color=bars.style.colour, alpha=0.55)
        for order, line in enumerate(lines, start=3):
            _draw_line(axes, line, order)
        axes.axhline(1 / len(shares), color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlim(-0.7, len(shares) - 0.3)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(_PERCENT)
        return _svg(figure, alt)


def reliability_diagram(alt: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Observed frequencies by probabilities, both in [0, 1], with the dotted diagonal on which they are equal."""
    with _drawing():
        figure, axes = _figure(2.45, x_label, y_label)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for order, line in enumerate(lines, start=3):
            _draw_line(axes, line, order)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        return _svg(figure, alt)


def spectrum_chart(alt: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Powers by wavelength or period, both axes logarithmic, the longest at the left; powers of 0 are left out."""
    with _drawing():
        figure, axes = _figure(2.45, x_label, y_label)
        axes.set_xscale("log", base=2)
        if any(value for line in lines for value in line.values):
            axes.set_yscale("log", nonpositive="mask")
        for order, line in enumerate(lines, start=3):
            _draw_line(axes, line, order)
        axes.invert_xaxis()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))
        return _svg(figure, alt)


def curves_chart(alt: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Learning curves: lines without intervals, on a logarithmic axis where they fall far."""
    with _drawing():
        figure, axes = _figure(2.45, x_label, y_label)
        for line in lines:
            _draw_line(axes, line, 3)
        known = [value for line in lines for value in line.values if value is not None]
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        if known and min(known) > 0 and max(known) / min(known) > DECADES:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        return _svg(figure, alt)


def forest_chart(alt: str, rows: Mapping[str, Line], x_label: str) -> str:
    """A row for each entry, with its one value as a share, its interval, and a line at zero."""
    with _drawing():
        names = [textwrap.fill(name, LETTERS) for name in rows]
        lines = sum(name.count("\n") + 1 for name in names)
        figure, axes = _figure(0.6 + 0.24 * len(rows) + 0.13 * lines, x_label, "")
        axes.axvline(0, color=INK, linewidth=0.8)
        for position, row in enumerate(rows.values()):
            [value] = row.values
            [ends] = row.interval or [None]
            if ends is not None:
                low, high = np.asarray(ends, np.float64)
                axes.plot([low, high], [position] * 2, color=row.style.colour, linewidth=2.2, solid_capstyle="butt")
            if value is not None:
                axes.plot([value], [position], color=row.style.colour, marker=row.style.marker, markersize=6)
        _name_rows(axes, names, 0.6)
        # Room on both sides keeps the zero line off the frame.
        widest = max(abs(end) for end in axes.get_xlim())
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.2 * widest), max(high, 0.2 * widest))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(_PERCENT)
        return _svg(figure, alt)


@dataclass(frozen=True)
class Bars:
    """The entries of one system in the rows of a chart of bars; None where a row has none."""

    style: Style
    rows: Sequence[Any]


def dotted_bars(alt: str, labels: Sequence[str], bars: Sequence[Bars], x_label: str) -> str:
    """Bars of shares. An entry is a mean, drawn as a bar, and the values of single runs, drawn as dots."""
    with _drawing():
        figure, axes = _grouped(labels, len(bars), x_label)
        for place, thick, style, (mean, dots) in _entries(bars):
            axes.barh(place, mean, height=thick, color=style.colour, alpha=0.45)
            axes.plot(dots, [place] * len(dots), ".", color=style.colour, markersize=5, zorder=4)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(_PERCENT)
        return _svg(figure, alt)


def two_sided_bars(alt: str, labels: Sequence[str], bars: Sequence[Bars], x_label: str, reach: float) -> str:
    """Bars of shares to both sides of zero. An entry is the left and the right share, both positive.

    `reach` is the largest share of all charts in a row, which gives them one scale.
    """
    with _drawing():
        figure, axes = _grouped(labels, len(bars), x_label)
        for place, thick, style, (left, right) in _entries(bars):
            axes.barh([place] * 2, [-left, right], height=thick, color=style.colour)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], symmetric=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: _percent(abs(share))))
        return _svg(figure, alt)


def quantile_bars(alt: str, labels: Sequence[str], bars: Sequence[Bars], x_label: str, reach: float) -> str:
    """Distributions. An entry has the quantiles 0, 0.05, 0.25, 0.5, 0.75, 0.95 and 1.

    `reach` is the largest absolute value of all charts in a row, which gives them one scale.
    """
    with _drawing():
        figure, axes = _grouped(labels, len(bars), x_label)
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, _, style, (least, low, lower, middle, upper, high, most) in _entries(bars):
            axes.plot([least, most], [place] * 2, color=style.colour, linewidth=0.6, alpha=0.7)
            axes.plot([low, high], [place] * 2, color=style.colour, linewidth=1.8, solid_capstyle="butt")
            axes.plot([lower, upper], [place] * 2, color=style.colour, linewidth=6.5, solid_capstyle="butt", alpha=0.7)
            axes.plot([middle], [place], "|", color=INK, markersize=8, markeredgewidth=1.6, zorder=5)
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return _svg(figure, alt)


def heat_map(values: Sequence[Sequence[float]], limit: float) -> Image:
    """Values (H, W) from -limit to limit as a picture (H, W, 3)."""
    shares = np.clip(np.asarray(values, np.float64) / (2 * limit) + 0.5, 0.0, 1.0)
    return np.asarray(matplotlib.colormaps[COLOUR_MAP](shares, bytes=True)[..., :3], np.uint8)


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
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


def _figure(height: float, x_label: str, y_label: str, width: float = WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _percent(share: float, _: int = 0) -> str:
    return f"{round(100 * share, 6):g} %".replace("-", "−")


_PERCENT = FuncFormatter(_percent)


def _power_of_ten(value: float, _: int = 0) -> str:
    """10 with its exponent raised, as text, since formulas are off."""
    exponent = f"{math.log10(value):.0f}" if value > 0 else ""
    return f"10{exponent.translate(_RAISED)}" if exponent else f"{value:g}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _draw_line(axes: Axes, line: Line, order: int) -> None:
    at = list(line.at or range(1, len(line.values) + 1))
    values = [np.nan if value is None else value for value in line.values]
    if line.interval is not None:
        low, high = np.array([ends or (None, None) for ends in line.interval], np.float64).T  # None is NaN there
        if len(values) == 1:
            axes.vlines(at, low, high, color=line.style.colour, alpha=0.5)
        axes.fill_between(at, low, high, color=line.style.colour, alpha=0.18, linewidth=0, zorder=order - 1)
    marked = len(values) <= MARKED and line.width >= 1  # thin lines are many
    axes.plot(
        at,
        values,
        color=line.style.colour,
        linewidth=line.width,
        dashes=line.style.dashes or (None, None),
        marker=line.style.marker if marked and line.solid is None else None,
        markersize=3,
        zorder=order,
    )
    if line.solid is None:
        _mark(axes, line.style, at, values, _alone(values), order)
    else:
        for solid in (False, True):
            chosen = [index for index, each in enumerate(line.solid) if each == solid]
            _mark(axes, line.style, at, values, chosen, order, solid=solid)


def _mark(
    axes: Axes,
    style: Style,
    at: Sequence[float],
    values: Sequence[float],
    chosen: Sequence[int],
    order: int,
    *,
    solid: bool = True,
) -> None:
    """Draws the markers of the values at the chosen positions."""
    if not chosen:
        return
    axes.plot(
        [at[index] for index in chosen],
        [values[index] for index in chosen],
        style.marker,
        color=style.colour,
        markerfacecolor=style.colour if solid else "none",
        markersize=4.5,
        zorder=order,
    )


def _alone(values: Sequence[float]) -> list[int]:
    """Positions of the values without a neighbour, which a line alone does not show."""
    known = [False, *np.isfinite(values).tolist(), False]
    return [index for index in range(len(values)) if known[index : index + 3] == [False, True, False]]


def _grouped(labels: Sequence[str], series: int, x_label: str) -> tuple[Figure, Axes]:
    """Axes with a row for each label, each with room for a bar of every series."""
    figure, axes = _figure(0.55 + len(labels) * (ROW * series + 0.1), x_label, "", NARROW)
    _name_rows(axes, labels, 0.5)
    for border in range(1, len(labels)):
        axes.axhline(border - 0.5, color=INK, linewidth=0.4, alpha=0.4)
    return figure, axes


def _entries(bars: Sequence[Bars]) -> Iterator[tuple[float, float, Style, Any]]:
    """Every entry with its place, its thickness and its style."""
    share = 0.8 / max(1, len(bars))
    for index, each in enumerate(bars):
        for row, entry in enumerate(each.rows):
            if entry is not None:
                yield row + (index - (len(bars) - 1) / 2) * share, 0.85 * share, each.style, entry


def _name_rows(axes: Axes, names: Sequence[str], margin: float) -> None:
    """Labels the rows, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + margin, -margin)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _svg(figure: Figure, alt: str) -> str:
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
