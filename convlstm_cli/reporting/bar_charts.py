"""Charts of bars: a row for each label, with a bar of every system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from convlstm_cli.reporting.drawing import INK, PERCENT, as_percent, drawing_style, name_rows, new_figure, to_svg
from convlstm_cli.reporting.styles import Style

NARROW = 3.1
"""Width in inches of a chart of bars; a page shows three in a row."""
ROW = 0.15
"""Height of a bar in inches."""

Entry = TypeVar("Entry", covariant=True)


@dataclass(frozen=True)
class Bars(Generic[Entry]):
    """The entries of one system in the rows of a chart of bars; None where a row has none."""

    style: Style
    rows: Sequence[Entry | None]


def dotted_bars(
    alt: str, labels: Sequence[str], bars: Sequence[Bars[tuple[float, Sequence[float | None]]]], x_label: str
) -> str:
    """Bars of shares. An entry is a mean, drawn as a bar, and the values of single runs, drawn as dots."""
    with drawing_style():
        figure, axes = _grouped(labels, len(bars), x_label)
        for place, thick, style, (mean, dots) in _entries(bars):
            axes.barh(place, mean, height=thick, color=style.colour, alpha=0.45)
            known = [dot for dot in dots if dot is not None]
            axes.plot(known, [place] * len(known), ".", color=style.colour, markersize=5, zorder=4)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(PERCENT)
        return to_svg(figure, alt)


def two_sided_bars(
    alt: str, labels: Sequence[str], bars: Sequence[Bars[Sequence[float]]], x_label: str, reach: float
) -> str:
    """Bars of shares to both sides of zero. An entry is the left and the right share, both positive.

    `reach` is the largest share of all charts in a row, which gives them one scale.
    """
    with drawing_style():
        figure, axes = _grouped(labels, len(bars), x_label)
        for place, thick, style, (left, right) in _entries(bars):
            axes.barh([place] * 2, [-left, right], height=thick, color=style.colour)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], symmetric=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: as_percent(abs(share))))
        return to_svg(figure, alt)


def quantile_bars(
    alt: str, labels: Sequence[str], bars: Sequence[Bars[Sequence[float]]], x_label: str, reach: float
) -> str:
    """Distributions. An entry has the quantiles 0, 0.05, 0.25, 0.5, 0.75, 0.95 and 1.

    `reach` is the largest absolute value of all charts in a row, which gives them one scale.
    """
    with drawing_style():
        figure, axes = _grouped(labels, len(bars), x_label)
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, _, style, (least, low, lower, middle, upper, high, most) in _entries(bars):
            axes.plot([least, most], [place] * 2, color=style.colour, linewidth=0.6, alpha=0.7)
            axes.plot([low, high], [place] * 2, color=style.colour, linewidth=1.8, solid_capstyle="butt")
            axes.plot([lower, upper], [place] * 2, color=style.colour, linewidth=6.5, solid_capstyle="butt", alpha=0.7)
            axes.plot([middle], [place], "|", color=INK, markersize=8, markeredgewidth=1.6, zorder=5)
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return to_svg(figure, alt)


def _grouped(labels: Sequence[str], series: int, x_label: str) -> tuple[Figure, Axes]:
    """Axes with a row for each label, each with room for a bar of every series."""
    figure, axes = new_figure(0.55 + len(labels) * (ROW * series + 0.1), x_label, "", NARROW)
    name_rows(axes, labels, 0.5)
    for border in range(1, len(labels)):
        axes.axhline(border - 0.5, color=INK, linewidth=0.4, alpha=0.4)
    return figure, axes


def _entries(bars: Sequence[Bars[Entry]]) -> Iterator[tuple[float, float, Style, Entry]]:
    """Every entry with its place, its thickness and its style."""
    share = 0.8 / max(1, len(bars))
    for index, each in enumerate(bars):
        for row, entry in enumerate(each.rows):
            if entry is not None:
                yield row + (index - (len(bars) - 1) / 2) * share, 0.85 * share, each.style, entry
