"""How long the help page of every command takes beside a Typer program that does nothing.

Both run as whole processes, in pairs, so that whatever else the machine does slows both. The wall-clock time is what a
user waits; the processor time is the steadier of the two on a busy machine.

.venv/bin/python scripts/benchmark_help.py --runs 20
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

from convlstm_cli.cli.app import COMMANDS

EMPTY = """
import typer
app = typer.Typer()
@app.command()
def main() -> None:
    '''Does nothing.'''
app()
"""


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall-clock time and processor time of a process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    waited, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return waited, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    empty = [sys.executable, "-c", EMPTY, "--help"]
    print(f"medians of {runs} pairs: milliseconds of ours, of the empty program, and the ratio")
    print(f"{'':25s}{'wall clock':^22s}{'processor':^22s}")
    for name in ("", *COMMANDS):
        ours = [sys.executable, "-m", "convlstm_cli", *name.split(), "--help"]
        pairs = [(seconds(ours), seconds(empty)) for _ in range(runs + 1)][1:]  # the first one fills the disk cache
        line = f"convlstm {name:9s} --help"
        for clock in (0, 1):
            times = [(a[clock], b[clock]) for a, b in pairs]
            own, other = (statistics.median(each) * 1e3 for each in zip(*times, strict=True))
            line += f"  {own:6.0f} {other:6.0f} {statistics.median(a / b for a, b in times):5.2f}"
        print(line)


if __name__ == "__main__":
    main()
