"""Charts as SVG text that stands inside a page and takes the colour of its ink from there.

None has a legend: the page shows one for all of them.
"""

import contextlib
import hashlib
import html
import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from convlstm_cli.reporting.pictures import Image
from convlstm_cli.scoring.baselines import NAMES

INK = "#7f8c9b"  # readable on white and on black, for files that do not know what they stand on
LABELS = {"model": "forecast", **NAMES}
WIDTH = 3.6
"""Inches of a chart of lines, which a page shows two in a row or, on a phone, one."""
NARROW = 3.1
"""Inches of a chart of bars, which a page shows three in a row."""
ROW = 0.15
"""Inches of a bar."""
LETTERS = 16
"""Of a name on an axis before it is broken."""
DECADES = 5.0
"""Largest over least value of a learning curve above which its axis is logarithmic."""
MARKED = 30
"""Values of a line that get a marker each, at most."""
COLOUR_MAP = "RdBu_r"
"""Diverging, and told apart by the colour-blind."""


@dataclass(frozen=True)
class Style:
    """How one system looks in every chart."""

    colour: str
    dashes: tuple[float, ...] = ()
    """Lengths of strokes and gaps in points; none is a solid line."""
    marker: str = "o"


# About as far from white as from black, told apart by the colour-blind, and by their strokes and markers too.
STYLES = {
    "model": Style("#2f7ed8"),
    "persistence": Style("#868e98", (5, 2), "x"),
    "linear_trend": Style("#a3812f", (6, 2, 1, 2), "+"),
    "optical_flow": Style("#8f7cc0", (1.5, 1.5), "1"),
}
_ARMS = (
    Style("#2f7ed8", marker="o"),
    Style("#dd5a1c", marker="s"),
    Style("#119a6d", marker="^"),
    Style("#c2549a", marker="D"),
    Style("#94881f", marker="v"),
)


def arm_styles(names: Sequence[str]) -> dict[str, Style]:
    """How the arms of a comparison look, in their order."""
    return {name: _ARMS[position % len(_ARMS)] for position, name in enumerate(names)}


@dataclass(frozen=True)
class Line:
    """Values over lead times or steps; a gap where there is no number."""

    values: Sequence[float | None]
    style: Style
    at: Sequence[float] | None = None
    """Where they stand; 1, 2 and so on if None."""
    interval: Sequence[Sequence[float] | None] | None = None
    """Low and high of each value."""
    solid: Sequence[bool] | None = None
    """Whose marker is filled; all if None."""
    width: float = 1.5


def line_chart(
    alt: str, lines: Sequence[Line], x_label: str, y_label: str, *, zero: str = "", percent: bool = False
) -> str:
    """Lines, each with its interval shaded. `zero`: "bottom" begins the axis there, "line" draws one."""
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
        if percent:
            axes.yaxis.set_major_formatter(_PERCENT)
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
    """A row for each entry: its one value as a share with its interval, and a line at zero."""
    with _drawing():
        names = [textwrap.fill(name, LETTERS) for name in rows]
        lines = sum(name.count("\n") + 1 for name in names)
        figure, axes = _figure(0.6 + 0.24 * len(rows) + 0.13 * lines, x_label, "")
        axes.axvline(0, color=INK, linewidth=0.8)
        for position, row in enumerate(rows.values()):
            [value] = row.values
            [ends] = row.interval or [None]
            if ends is not None:
                axes.plot(ends, [position] * 2, color=row.style.colour, linewidth=2.2, solid_capstyle="butt")
            if value is not None:
                axes.plot([value], [position], color=row.style.colour, marker=row.style.marker, markersize=6)
        _name_rows(axes, names, 0.6)
        # Room on both sides, so that the zero line never is the frame.
        widest = max(abs(end) for end in axes.get_xlim())
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.2 * widest), max(high, 0.2 * widest))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(_PERCENT)
        return _svg(figure, alt)


@dataclass(frozen=True)
class Bars:
    """One system's entry in each row of a chart of bars; None where it has none."""

    style: Style
    rows: Sequence[Any]


def dotted_bars(alt: str, labels: Sequence[str], bars: Sequence[Bars], x_label: str) -> str:
    """Bars of shares: each entry is the mean, and the values of single runs, which are its dots."""
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
    """Bars of shares to both sides of zero: each entry is the left one and the right one, both positive.

    `reach` is the largest of all that stand side by side, so that they share their scale.
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
    """Distributions: each entry has the values of the quantiles 0, 0.05, 0.25, 0.5, 0.75, 0.95 and 1.

    `reach` is as that of `two_sided_bars`.
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
    """(H, W) from -limit to limit as a picture (H, W, 3)."""
    shares = np.clip(np.asarray(values, np.float64) / (2 * limit) + 0.5, 0.0, 1.0)
    return np.asarray(matplotlib.colormaps[COLOUR_MAP](shares, bytes=True)[..., :3], np.uint8)


def swatch(style: Style) -> str:
    """A piece of a system's line, for a legend."""
    dashes = f' stroke-dasharray="{" ".join(f"{length:g}" for length in style.dashes)}"' if style.dashes else ""
    return (
        f'<svg class="swatch" viewBox="0 0 22 6" aria-hidden="true">'
        f'<path d="M0 3H22" stroke="{style.colour}" stroke-width="{2 if dashes else 4}"{dashes} /></svg>'
    )


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = {
        **dict.fromkeys(ink, INK),
        "font.family": "DejaVu Sans",  # measured with, and wider than what most systems show
        "font.size": 8.5,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,  # a name with dollar signs is a name
        "svg.fonttype": "none",
        "svg.hashsalt": "convlstm",
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # browsers have the letters that the font lacks
        yield


def _figure(height: float, x_label: str, y_label: str, width: float = WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _percent(share: float, _: int = 0) -> str:
    return f"{round(100 * share, 6):g} %".replace("-", "−")


_PERCENT = FuncFormatter(_percent)


def _draw_line(axes: Axes, line: Line, order: int) -> None:
    at = list(line.at or range(1, len(line.values) + 1))
    values = [np.nan if value is None else value for value in line.values]
    marked = len(values) <= (MARKED if line.width >= 1 else 1)  # thin lines stand in crowds
    if line.interval is not None:
        low, high = np.array([ends or (None, None) for ends in line.interval], np.float64).T  # None is NaN there
        if len(values) == 1:
            axes.vlines(at, low, high, color=line.style.colour, alpha=0.5)
        axes.fill_between(at, low, high, color=line.style.colour, alpha=0.18, linewidth=0, zorder=order - 1)
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
    if line.solid is not None:
        for solid in (False, True):
            chosen = [index for index, each in enumerate(line.solid) if each == solid]
            axes.plot(
                [at[index] for index in chosen],
                [values[index] for index in chosen],
                line.style.marker,
                color=line.style.colour,
                markerfacecolor=line.style.colour if solid else "none",
                markersize=4.5,
                zorder=order,
            )


def _grouped(labels: Sequence[str], series: int, x_label: str) -> tuple[Figure, Axes]:
    """Axes with a row for each label, of as many bars as there are series."""
    figure, axes = _figure(0.55 + len(labels) * (ROW * series + 0.1), x_label, "", NARROW)
    _name_rows(axes, labels, 0.5)
    for border in range(1, len(labels)):
        axes.axhline(border - 0.5, color=INK, linewidth=0.4, alpha=0.4)
    return figure, axes


def _entries(bars: Sequence[Bars]) -> Iterator[tuple[float, float, Style, Any]]:
    """Every entry that there is, with its place, its thickness and its style."""
    share = 0.8 / max(1, len(bars))
    for index, each in enumerate(bars):
        for row, entry in enumerate(each.rows):
            if entry is not None:
                yield row + (index - (len(bars) - 1) / 2) * share, 0.85 * share, each.style, entry


def _name_rows(axes: Axes, names: Sequence[str], margin: float) -> None:
    """The first row above all others."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + margin, -margin)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _svg(figure: Figure, alt: str) -> str:
    """A figure as an element of a page: scalable, with the ink of the page, and with names of its own."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = "c" + hashlib.sha256((alt + text).encode()).hexdigest()[:10]  # ids count for the whole page
    used = set(re.findall(r'(?:xlink:href="|url\()#([\w-]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\g<1>#{prefix}-", text)
    text = re.sub(r"\n\s*", "\n", text).replace(INK, "currentColor").replace("'DejaVu Sans'", "system-ui, sans-serif")
    view_box = re.search(r'viewBox="[^"]*"', text)
    assert view_box is not None
    head = f'<svg class="chart" {view_box[0]} role="img" aria-label="{html.escape(alt)}"'
    return head + ' xmlns:xlink="http://www.w3.org/1999/xlink">' + text[text.index(">") + 1 :]
