"""Time and memory of layers: ours, the plain loop, and the convolutions alone, in a process of its own."""

import json
import sys
from pathlib import Path
from typing import Any

from gpu_check.run import Context, Failed

LINE = "{:<30} {:<9} {:<6} {:>9} {:>11} {:>11} {:>9} {:>14}"


def measure(context: Context) -> str:
    """Runs `layers.py` and writes its rows as speed/rows.json and speed/table.txt."""
    context.folder.mkdir(parents=True, exist_ok=True)
    rows_file = context.folder / "rows.jsonl"
    rows_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "gpu_check.layers", "--device", context.options.device, "-o", str(rows_file)]
    command += ["--quick"] if context.options.quick else []
    process = context.start(command, context.log)
    code = process.wait(context.left)
    rows = (
        [json.loads(line) for line in rows_file.read_text(encoding="utf-8").splitlines()] if rows_file.exists() else []
    )
    _write_table(context.folder / "table.txt", rows)
    if code is None:
        raise Failed(f"did not end in time; {len(rows)} rows are there")
    if code:
        raise Failed(f"exited with {code}: {process.last_words()}; {len(rows)} rows are there")
    trained = [row for row in rows if row["mode"] == "train"]
    plain, floor = ([row["ms"][name] / row["ms"]["ours"] for row in trained] for name in ("plain", "floor"))
    return (
        f"training steps at {len(rows)} rows: plain loop / ours {min(plain):.2f} to {max(plain):.2f}, "
        f"convolutions alone / ours {min(floor):.2f} to {max(floor):.2f}"
    )


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    heads = ("shape", "type", "mode", "ours ms", "plain/ours", "floor/ours", "ours MB", "plain/ours MB")
    lines = [LINE.format(*heads)]
    for row in rows:
        ms, memory = row["ms"], row["mb"]
        cells = [row["shape"], row["dtype"], row["mode"], f"{ms['ours']:.2f}"]
        cells += [f"{ms[name] / ms['ours']:.2f}" for name in ("plain", "floor")]
        cells += [f"{memory['ours']:.0f}", f"{memory['plain'] / memory['ours']:.2f}"] if memory["ours"] else ["-", "-"]
        lines.append(LINE.format(*cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
