"""How much two trainings slow each other where they share all cores, by how long waiting threads spin.

Threads of OpenMP that wait for each other spin for a while before they sleep. While the other training's threads have
the cores, that is time lost. `convlstm` sets GOMP_SPINCOUNT unless the environment does; this script runs one training
and two trainings at once with each setting in turn, round by round. Run it on a machine that does nothing else.

.venv/bin/python scripts/benchmark_beside.py
.venv/bin/python scripts/benchmark_beside.py --steps 200 --rounds 5 --spins 0,100000,usual
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import describe

ROOT = Path(__file__).parent.parent
TRAIN = [sys.executable, "-m", "convlstm_cli", "train", str(ROOT / "sample_data"), "--init", "none", "--patience", "0"]
SPINS = "0,100000,usual"
VARIABLE = "GOMP_SPINCOUNT"
USUAL = "300000"
"""What GCC's libgomp does where neither this variable nor OMP_WAIT_POLICY is set."""
TOGETHER = 2


def train(spin: str, steps: int, count: int) -> float:
    """Seconds until trainings that start at once have all ended. Raises CalledProcessError where one fails."""
    environment = {**os.environ, VARIABLE: USUAL if spin == "usual" else spin}
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        began = time.perf_counter()
        running = []
        for number in range(count):
            command = [*TRAIN, "--max-steps", str(steps), "-o", f"{place}/run-{number}"]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running.append(stack.enter_context(process))
        for process in running:
            if process.wait():
                raise subprocess.CalledProcessError(process.returncode, process.args)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps of each training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spins", default=SPINS, help="settings of GOMP_SPINCOUNT, with commas between them")
    options = parser.parse_args()
    spins = options.spins.split(",")
    machine = describe()
    print(f"{machine['cpu']}, {machine['cores']} cores")
    taken: dict[tuple[str, int], list[float]] = {(spin, count): [] for spin in spins for count in (1, TOGETHER)}
    for _ in range(options.rounds):
        for spin, count in taken:
            taken[spin, count].append(train(spin, options.steps, count))
    print(f"{VARIABLE:>15s}  one: seconds  {TOGETHER} at once  {TOGETHER} at once / {TOGETHER} one after the other")
    for spin in spins:
        alone, together = taken[spin, 1], taken[spin, TOGETHER]
        ratio = statistics.median(both / (TOGETHER * one) for both, one in zip(together, alone, strict=True))
        print(f"{spin:>15s} {statistics.median(alone):13.1f} {statistics.median(together):10.1f} {ratio:12.2f}")


if __name__ == "__main__":
    main()
