"""The command line of scripts/gpu-check."""

import argparse
import os
import sys
import time
from pathlib import Path

from gpu_check.requirements import unmet
from gpu_check.run import Options, Outcome, take
from gpu_check.steps import BUDGET, MEASURED, STEPS


def main() -> int:
    """Takes the chosen steps and prints the table. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/gpu-check", description="Checks this checkout on a GPU.")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu-check"), help="folder of logs and results")
    parser.add_argument("--device", default="cuda", help="where the commands and the benchmark compute; cpu rehearses")
    parser.add_argument("--quick", action="store_true", help="everything as small as possible, to test the steps")
    parser.add_argument("--only", default=",".join(STEPS), help="steps to take, with commas: %(default)s")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of all steps together")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="test files that run at a time")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        parser.error(f"--only names {', '.join(unknown)}; the steps are {', '.join(STEPS)}.")
    if reasons := unmet():
        parser.error(f"{sys.executable} cannot run the package: {'; '.join(reasons)}. Install these, or set PYTHON.")

    output = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    options = Options(arguments.device, arguments.quick, output, arguments.cores)
    end = time.monotonic() + arguments.budget
    outcomes = []
    for name, step in STEPS.items():
        if name in names:
            # A rehearsal may run beside other work, and shows nothing about time.
            limit = 3.0 * step.limit if arguments.quick else step.limit
            outcomes.append(take(name, step.work, limit, end, options))
            print(line(outcomes[-1]), flush=True)  # at once too, in case that this machine is taken away
    table = "\n".join(["step          seconds  result  what it saw", *map(line, outcomes)])
    (output / "table.txt").write_text(table + "\n", encoding="utf-8")
    for name in MEASURED:
        speeds = output / name / "table.txt"
        if name in names and speeds.exists():
            print(f"\n{speeds.read_text(encoding='utf-8')}")
    print(f"\n{table}\n\nlogs: {output}")
    return int(any(outcome.result == "FAIL" for outcome in outcomes))


def line(outcome: Outcome) -> str:
    """A row of the table."""
    return f"{outcome.name:<13} {outcome.seconds:>7.1f}  {outcome.result:<6}  {outcome.saw}"


if __name__ == "__main__":
    sys.exit(main())
