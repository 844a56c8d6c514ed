"""Optimiser steps of the default network alone, and of two trainings side by side on the same cores.

.venv/bin/python scripts/benchmark_side_by_side.py
.venv/bin/python scripts/benchmark_side_by_side.py --spins 100000,10000,1000 --seconds 10 --rounds 5 --json

Threads of GNU's OpenMP, which torch has on Linux, spin for a while when they wait for each other. While another
program uses the cores, a thread that spins keeps its core from the thread that it waits for. GOMP_SPINCOUNT says for
how long they spin; `convlstm` sets it (`cli/app.py`) unless it is set. Every training is a process with all cores; a
round takes each setting once, alone and side by side. Figures are milliseconds a step, medians over rounds, of two side
by side the mean.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.machine import describe
from bench.terminal import aligned, say

WARM_UPS = 2
ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spins", default="300000,100000,10000,1000,100", help="values of GOMP_SPINCOUNT")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64, help="of the frames")
    parser.add_argument("--threads", type=int, default=0, help="of each training; all cores if not given")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        train(options.side, options.seconds)
        return 0
    spins = [int(spin) for spin in options.spins.split(",")]
    found: dict[tuple[int, int], list[float]] = {(spin, count): [] for spin in spins for count in (1, 2)}
    for number in range(options.rounds):
        for (spin, count), times in found.items():
            say(f"round {number + 1} of {options.rounds}: {count} at a time, GOMP_SPINCOUNT={spin}")
            times.append(milliseconds(spin, count, options))
    medians = {key: statistics.median(times) for key, times in found.items()}
    rows = [{"spin": spin, "alone_ms": medians[spin, 1], "beside_ms": medians[spin, 2]} for spin in spins]
    if options.json:
        print(json.dumps({"machine": describe(), "rows": rows}, indent=2))
    else:
        lines = [["GOMP_SPINCOUNT", "alone (ms)", "two side by side (ms)", "over alone"]]
        for row in rows:
            alone, beside = row["alone_ms"], row["beside_ms"]
            lines.append([f"{row['spin']}", f"{alone:.0f}", f"{beside:.0f}", f"{beside / alone:.2f}"])
        print(aligned(lines))
    return 0


def milliseconds(spin: int, count: int, options: argparse.Namespace) -> float:
    """The time of a step in ms, the mean of `count` trainings at a time. Raises RuntimeError where one fails."""
    environment = os.environ | {"GOMP_SPINCOUNT": str(spin), "PYTHONPATH": str(ROOT)}
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        environment.pop(name, None)
    if options.threads:
        environment["OMP_NUM_THREADS"] = str(options.threads)
    command = [sys.executable, __file__, "--worker", "--side", str(options.side), "--seconds", str(options.seconds)]
    trainings = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for training in trainings:
            assert training.stdout is not None
            if training.stdout.readline() != "ready\n":
                raise RuntimeError("a training did not start; its message is above")
        for training in trainings:
            assert training.stdin is not None
            training.stdin.write("\n")
            training.stdin.flush()
        return statistics.mean(float(training.communicate()[0]) for training in trainings)
    finally:
        for training in trainings:
            training.kill()


def train(side: int, seconds: float) -> None:
    """Makes steps for some time once the parent says so, and prints how many ms one took."""
    import torch

    from convlstm_cli.compute.device import Compute
    from convlstm_cli.compute.memory import keep_freed_memory
    from convlstm_cli.nn import ForecasterConfig
    from convlstm_cli.training.config import TrainConfig
    from convlstm_cli.training.step import TrainStep

    keep_freed_memory()
    model = ForecasterConfig(side, side, 1)
    step = TrainStep(model, TrainConfig(init="none"), Compute(torch.device("cpu"), torch.float32), None)
    clips = torch.rand(8, model.clip_frames, model.channels, side, side)
    for _ in range(WARM_UPS):
        step(clips)
    print("ready", flush=True)
    sys.stdin.readline()
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or not count:
        step(clips)
        count += 1
    print(1e3 * passed / count, flush=True)


if __name__ == "__main__":
    sys.exit(main())
