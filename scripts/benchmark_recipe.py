"""Test error of training recipes: trains each recipe on a folder and appends its scores to a table.

.venv/bin/python scripts/benchmark_recipe.py sample_data --trials default,residual --max-steps 300
.venv/bin/python scripts/benchmark_recipe.py RADAR --options "--size 96" --max-time 5m --trials all
.venv/bin/python scripts/benchmark_recipe.py --mnist MNIST_FOLDER --trials default --table mine.csv

A recipe is a set of options of `convlstm train` that differ from its defaults; TRIALS lists them. The table compares
the error on the test videos with copying the last frame and with optical flow; the validation videos choose the epoch.
--mnist first draws Moving MNIST into a folder of arrays. Each result is appended as a row to --table, a CSV file.
scripts/README.md describes the recorded tables, recipe_trials.csv and recipe_prototypes.csv.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from moving_mnist.folder import draw_moving_mnist

TRIALS = {
    "default": "",
    # Head and forecaster
    "residual": "--head residual --loss mse",
    "sigmoid": "--head sigmoid",
    "unconditioned": "--forecaster unconditioned",
    "unconditioned residual": "--forecaster unconditioned --head residual --loss mse",
    "autoregressive": "--forecaster autoregressive",
    "autoregressive, scheduled sampling": "--forecaster autoregressive --scheduled-sampling 1",
    "paper": "--preset paper",
    # Loss
    "mse": "--loss mse",
    "mae+mse": "--loss mae+mse",
    # Optimiser
    "rate 1e-3": "--learning-rate 1e-3",
    "rate 5e-3": "--learning-rate 5e-3",
    "constant rate": "--schedule constant",
    "no average": "--average 0",
    "batch 4": "--batch-size 4",
    "batch 16": "--batch-size 16",
    "decay 1e-2": "--weight-decay 1e-2",
    # Network
    "16,16": "--hidden 16,16",
    "64": "--hidden 64",
    "64,64": "--hidden 64,64",
    "32,32,32": "--hidden 32,32,32",
    "5x5": "--kernel-size 5",
    "patch 2": "--patch-size 2",
    "patch 8": "--patch-size 8",
    # Data
    "flips": "--augment hflip,vflip",
    "flips, turns, reversed": "--augment hflip,vflip,rot90,reverse",
    "stride 2": "--stride 2",
}

COLUMNS = (
    "data", "trial", "options", "budget", "steps", "step ms", "parameters", "best epoch", "validation / copying",
    "test / copying", "test / optical flow", "last lead time / copying", "SSIM", "SSIM of copying",
)  # fmt: skip

MNIST_SEQUENCES = 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="videos")
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST's IDX files, for Moving MNIST")
    parser.add_argument("--name", help="name of the data in the table; the folder's if not given")
    parser.add_argument("--options", default="", help="options of every trial, such as --options '--size 96'")
    parser.add_argument("--trials", default="default", help="names in TRIALS, separated by ';', or all")
    parser.add_argument("--max-time", help="time limit of each training")
    parser.add_argument("--max-steps", help="optimiser steps of each training")
    parser.add_argument("--table", type=Path, default=Path("recipe_trials.csv"))
    given = parser.parse_args()
    if (given.folder is None) == (given.mnist is None):
        parser.error("give a folder of videos, or --mnist")
    if (given.max_time is None) == (given.max_steps is None):
        parser.error("give --max-time or --max-steps")
    names = list(TRIALS) if given.trials == "all" else [name.strip() for name in given.trials.split(";")]
    if unknown := [name for name in names if name not in TRIALS]:
        parser.error(f"no trial {unknown[0]!r}; there are {'; '.join(TRIALS)}")

    budget = ["--max-time", given.max_time] if given.max_time else ["--max-steps", given.max_steps]
    with tempfile.TemporaryDirectory(prefix="convlstm-recipe-") as work:
        folder, options = given.folder, given.options
        if given.mnist is not None:
            folder = Path(work, "moving-mnist")
            draw_moving_mnist(given.mnist, folder, MNIST_SEQUENCES)
            options += " --validation 0.02 --test 0.1"
        for number, name in enumerate(names):
            run = Path(work, str(number))
            extra = f"{options} {TRIALS[name]}".strip()
            command = [sys.executable, "-m", "convlstm_cli", "train", str(folder), "-o", str(run), "--patience", "0"]
            done = subprocess.run([*command, *budget, *shlex.split(extra), "-q"], check=False)
            if done.returncode:
                return done.returncode
            row = outcome(run) | {
                "data": given.name or folder.name,
                "trial": name,
                "options": extra,
                "budget": budget[1] + ("" if given.max_time else " steps"),
            }
            append(given.table, row)
            print(json.dumps(row))
    return 0


def outcome(run: Path) -> dict[str, Any]:
    """The scores of a finished run, as columns of the table."""
    test = json.loads((run / "test.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    inspected = subprocess.run(
        [sys.executable, "-m", "convlstm_cli", "inspect", str(run), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    best = rows[test["best_epoch"] - 1]["validation"]
    copying = test["persistence"]

    def ratio(one: dict[str, Any], other: dict[str, Any]) -> float:
        return round(float(one["mean"]["mse"] / other["mean"]["mse"]), 4)

    return {
        "steps": rows[-1]["steps"],
        "step ms": round(1e3 * rows[-1]["seconds"] / rows[-1]["steps"]),
        "parameters": json.loads(inspected.stdout)["parameters"],
        "best epoch": f"{test['best_epoch']} of {len(rows)}",
        "validation / copying": ratio(best["model"], best["persistence"]),
        "test / copying": ratio(test["model"], copying),
        "test / optical flow": ratio(test["model"], test["optical_flow"]) if "optical_flow" in test else "",
        "last lead time / copying": round(
            test["model"]["by_lead_time"]["mse"][-1] / copying["by_lead_time"]["mse"][-1], 4
        ),
        "SSIM": round(test["model"]["mean"]["ssim"], 3),
        "SSIM of copying": round(copying["mean"]["ssim"], 3),
    }


def append(table: Path, row: dict[str, Any]) -> None:
    """Appends a row to the table, and writes the heading of a new one."""
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
