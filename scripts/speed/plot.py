"""Results as a bar chart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOST = 5.0
"""Longer bars end here, so that the others stay distinguishable; their labels give the full value."""


def bars(rows: Sequence[dict[str, Any]], titles: dict[str, str], path: Path) -> None:
    """Draws every system's time over that of the floor: one row of panels per mode, one panel per shape."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    modes = list(dict.fromkeys(row["mode"] for row in rows))
    systems = [name for name in dict.fromkeys(row["system"] for row in rows) if name != "floor"]
    size = (1.5 + 3.6 * len(titles), 1.2 + len(modes) * (0.9 + 0.28 * len(systems)))
    figure, axes = plt.subplots(len(modes), len(titles), figsize=size, squeeze=False, sharey=True)
    for mode, line in zip(modes, axes, strict=True):
        for (shape, title), panel in zip(titles.items(), line, strict=True):
            here = {
                r["system"]: r["of_floor"].get("median", 0.0) for r in rows if (r["mode"], r["shape"]) == (mode, shape)
            }
            values = [here.get(name, 0.0) for name in systems]
            shown = [min(value, MOST) for value in values]
            drawn = panel.barh(systems, shown, color=["#2a6fb0" if "ours" in name else "#9aa3ab" for name in systems])
            panel.bar_label(drawn, [f"{value:.2f}" if value else "-" for value in values], padding=3, fontsize=8)
            panel.axvline(1.0, color="black", linewidth=0.8)
            panel.set_xlim(0, 1.2 * max([*shown, 1.0]))
            first, second, rest = title.split(", ", 2)
            panel.set_title(f"{shape}, {mode}: {first}, {second}\n{rest}", fontsize=8)
            panel.tick_params(labelsize=8)
            panel.spines[["top", "right"]].set_visible(False)
    axes[0][0].invert_yaxis()  # of all panels, which share it
    figure.supxlabel(f"time / time of the convolutions alone (line: 1; bars end at {MOST:.0f})", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
