"""The forest chart of a comparison: one value a row, with its interval."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from convlstm_cli.reporting.drawing import INK, PERCENT, drawing_style, name_rows, new_figure, to_svg
from convlstm_cli.reporting.line_charts import Line

LETTERS = 16
"""Length of a name on an axis before it is wrapped."""


def forest_chart(alt: str, rows: Mapping[str, Line], x_label: str) -> str:
    """A row for each entry, with its one value as a share, its interval, and a line at zero."""
    with drawing_style():
        names = [textwrap.fill(name, LETTERS) for name in rows]
        lines = sum(name.count("\n") + 1 for name in names)
        figure, axes = new_figure(0.6 + 0.24 * len(rows) + 0.13 * lines, x_label, "")
        axes.axvline(0, color=INK, linewidth=0.8)
        for position, row in enumerate(rows.values()):
            [value] = row.values
            [ends] = row.interval or [None]
            if ends is not None:
                low, high = np.asarray(ends, np.float64)
                axes.plot([low, high], [position] * 2, color=row.style.colour, linewidth=2.2, solid_capstyle="butt")
            if value is not None:
                axes.plot([value], [position], color=row.style.colour, marker=row.style.marker, markersize=6)
        name_rows(axes, names, 0.6)
        # Room on both sides keeps the zero line off the frame.
        widest = max(abs(end) for end in axes.get_xlim())
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.2 * widest), max(high, 0.2 * widest))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(PERCENT)
        return to_svg(figure, alt)
