"""Results of the speed benchmark as tables."""

from collections.abc import Sequence
from typing import Any

from bench.terminal import aligned


def speed_table(rows: Sequence[dict[str, Any]]) -> str:
    """One row per system, for one shape and mode."""
    memory = any("peak_mb" in row for row in rows)
    header = ["", "ms", "x floor", "x ours", "min", "max", *(["peak MB", "growth MB"] if memory else [])]
    lines = [header]
    for row in rows:
        ours = row["of_ours"] or {}
        numbers = [f"{row['ms']:.1f}", _number(row["of_floor"].get("median"))]
        numbers += [_number(ours.get(name)) for name in ("median", "min", "max")]
        if memory:
            numbers += [_number(row.get("peak_mb"), 0), _number(row.get("growth_mb"), 0)]
        lines.append([row["system"], *numbers])
    return aligned(lines)


def growth_table(rows: Sequence[dict[str, Any]], unit: str) -> str:
    """Time per unit at each point, relative to the first point."""
    points = list(rows[0]["relative"])
    lines = [[f"per {unit}", *points]]
    lines += [[row["system"], *(_number(row["relative"].get(point)) for point in points)] for row in rows]
    return aligned(lines)


def convolution_table(rows: Sequence[dict[str, Any]]) -> str:
    """Three tables: forward, data gradient, and weight gradient with its errors."""
    tables = []
    for direction, title in (("forward", "forward"), ("data", "data gradient"), ("weight", "weight gradient")):
        columns = [f"{whose}{direction} {order}" for whose in ("", "our ") for order in ("contiguous", "channels_last")]
        headings = ["oneDNN NCHW", "oneDNN NHWC", "ours NCHW", "ours NHWC"]
        errors = columns if direction == "weight" else []
        lines = [[f"{title}, ms", *headings, *(f"error {heading}" for heading in headings[: len(errors)])]]
        for row in rows:
            image = f"{row['size']}x{row['size']}"
            name = f"{row['batch']} of {row['in']} -> {row['out']}, {row['kernel']}x{row['kernel']} on {image}"
            numbers = [f"{row['ms'][column]:.2f}" for column in columns]
            lines.append([name, *numbers, *(f"{row['errors'][column]:.1e}" for column in errors)])
        tables.append(aligned(lines))
    return "\n\n".join(tables)


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
