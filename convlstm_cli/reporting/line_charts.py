"""Charts of lines, over lead times, steps, ranks, probabilities or wavelengths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from convlstm_cli.reporting.drawing import INK, PERCENT, drawing_style, new_figure, to_svg
from convlstm_cli.reporting.styles import Style

DECADES = 5.0
"""Largest over least value of a learning curve above which its axis is logarithmic."""
MARKED = 30
"""Most values of a line that get a marker each."""

Zero = Literal["", "bottom", "line"]
"""Where the y axis begins at 0, where a line is drawn at 0, or neither."""
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
    zero: Zero = "",
    ideal: float | None = None,
    percent: bool = False,
) -> str:
    """Lines, each with its interval shaded.

    Args:
        alt: what the chart shows, for those who cannot see it.
        lines: from the back to the front.
        x_label, y_label: of the axes.
        zero: "bottom" begins the y axis at 0, "line" draws a line there, and "" does neither.
        ideal: value at which a dotted line is drawn.
        percent: whether the values are shares.
    """
    with drawing_style():
        figure, axes = new_figure(2.45, x_label, y_label)
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
            axes.yaxis.set_major_formatter(PERCENT)
        return to_svg(figure, alt)


def rank_chart(alt: str, bars: Line, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Shares of ranks: those of one system as bars, those of others as lines, and a dotted line at even shares."""
    with drawing_style():
        figure, axes = new_figure(2.45, x_label, y_label)
        shares = [np.nan if value is None else value for value in bars.values]
        axes.bar(list(bars.at or range(len(shares))), shares, width=0.9, color=bars.style.colour, alpha=0.55)
        for order, line in enumerate(lines, start=3):
            _draw_line(axes, line, order)
        axes.axhline(1 / len(shares), color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlim(-0.7, len(shares) - 0.3)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PERCENT)
        return to_svg(figure, alt)


def reliability_diagram(alt: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Observed frequencies by probabilities, both in [0, 1], with the dotted diagonal on which they are equal."""
    with drawing_style():
        figure, axes = new_figure(2.45, x_label, y_label)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for order, line in enumerate(lines, start=3):
            _draw_line(axes, line, order)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        return to_svg(figure, alt)


def spectrum_chart(alt: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Powers by wavelength or period, both axes logarithmic, the longest at the left; powers of 0 are left out."""
    with drawing_style():
        figure, axes = new_figure(2.45, x_label, y_label)
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
        return to_svg(figure, alt)


def curves_chart(alt: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Learning curves: lines without intervals, on a logarithmic axis where they fall far."""
    with drawing_style():
        figure, axes = new_figure(2.45, x_label, y_label)
        for line in lines:
            _draw_line(axes, line, 3)
        known = [value for line in lines for value in line.values if value is not None]
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        if known and min(known) > 0 and max(known) / min(known) > DECADES:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        return to_svg(figure, alt)


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
