"""Times on the device, each in a process of its own: of layers, and of small networks that are captured."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from gpu_check.run import Context, Failed

LAYERS = "{:<30} {:<9} {:<6} {:>9} {:>11} {:>12} {:>15} {:>15} {:>9} {:>14}"
SMALL = "{:<30} {:<9} {:<6} {:>9} {:>12} {:>12} {:>15}"
Rows = Sequence[dict[str, Any]]
GOAL = 1 / 3
"""Time of a captured step over that of a plain loop, at most."""


def measure(context: Context) -> str:
    """Time and memory of layers (`layers.py`); writes its rows as rows.jsonl and table.txt."""
    rows = _measured(context, "layers", _layers_table)
    trained = [row for row in rows if row["mode"] == "train"]
    plain, floor = ([row["ms"][name] / row["ms"]["captured"] for row in trained] for name in ("plain", "floor"))
    return (
        f"training steps at {len(rows)} rows, captured where there are graphs: plain / ours {_span(plain)}, "
        f"convolutions alone / ours {_span(floor)}"
    )


def launches(context: Context) -> str:
    """Small networks, launched and captured (`launches.py`). Fails where one could not be captured on a GPU."""
    found = _measured(context, "launches", _small_table)
    rows = [row for row in found if "ms" in row]
    if notes := {note for row in rows for note in row["notes"]}:
        raise Failed(f"not captured: {'; '.join(sorted(notes))}")
    ratios = {
        mode: [row["ms"]["captured"] / row["ms"]["plain"] for row in rows if row["mode"] == mode]
        for mode in ("train", "infer")
    }
    reached = sum(ratio <= GOAL for each in ratios.values() for ratio in each)
    what = "captured" if context.options.device == "cuda" else "as there are no graphs here, launched"
    return (
        f"{what} / plain loop: training steps {_span(ratios['train'])}, forecasts {_span(ratios['infer'])}; "
        f"{reached} of {len(rows)} within {GOAL:.2f}; busy in {', '.join(_busy(found))}"
    )


def _layers_table(rows: Rows) -> list[str]:
    of_time = "ours ms", "plain/ours", "captured ms", "plain/captured", "captured/floor"
    heads = ("shape", "type", "mode", *of_time, "ours MB", "ours/plain MB")
    lines = [LAYERS.format(*heads)]
    for row in rows:
        ms, memory = row["ms"], row["mb"]
        cells = [row["shape"], row["dtype"], row["mode"], f"{ms['ours']:.2f}", f"{ms['plain'] / ms['ours']:.2f}"]
        cells += [f"{ms['captured']:.2f}", f"{ms['plain'] / ms['captured']:.2f}", f"{ms['captured'] / ms['floor']:.2f}"]
        cells += [f"{memory['ours']:.0f}", f"{memory['ours'] / memory['plain']:.2f}"] if memory["ours"] else ["-", "-"]
        lines.append(LAYERS.format(*cells))
    return lines


def _small_table(rows: Rows) -> list[str]:
    heads = ("network", "precision", "mode", "plain ms", "launched ms", "captured ms", "captured/plain")
    lines = [SMALL.format(*heads)]
    for row in rows:
        if "ms" in row:
            ms = row["ms"]
            cells = [f"{ms[name]:.2f}" for name in ("plain", "launched", "captured")]
            cells.append(f"{ms['captured'] / ms['plain']:.2f}")
            lines.append(SMALL.format(row["shape"], row["precision"], row["mode"], *cells))
    said = "share of the time between two steps that the captured step takes by itself"
    return lines + [f"{said}, {share}" for share in _busy(rows)]


def _busy(rows: Rows) -> list[str]:
    return [f"{row['shape']}: {row['alone_ms'] / row['between_ms']:.0%}" for row in rows if row["mode"] == "busy"]


def _measured(context: Context, program: str, table: Callable[[Rows], list[str]]) -> Rows:
    """Runs a program of this folder and writes the table of its rows, of those that are there if it fails.

    Raises Failed where it does not come to its end.
    """
    context.folder.mkdir(parents=True, exist_ok=True)
    rows_file = context.folder / "rows.jsonl"
    rows_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"gpu_check.{program}", "--device", context.options.device, "-o", str(rows_file)]
    command += ["--quick"] if context.options.quick else []
    process = context.start(command, context.log)
    code = process.wait(context.left)
    lines = rows_file.read_text(encoding="utf-8").splitlines() if rows_file.exists() else []
    rows = [json.loads(line) for line in lines]
    (context.folder / "table.txt").write_text("\n".join(table(rows)) + "\n", encoding="utf-8")
    if code is None:
        raise Failed(f"did not end in time; {len(rows)} rows are there")
    if code:
        raise Failed(f"exited with {code}: {process.last_words()}; {len(rows)} rows are there")
    return rows


def _span(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"
