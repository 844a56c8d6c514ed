"""How long `convlstm --help` takes beside a Typer program that does nothing: both as whole processes, in turn.

.venv/bin/python scripts/benchmark_help.py --runs 20
"""

import argparse
import statistics
import subprocess
import sys
import time

EMPTY = """
import typer
app = typer.Typer()
@app.command()
def main() -> None:
    '''Does nothing.'''
app()
"""


def seconds(command: list[str]) -> float:
    """Wall-clock time of a process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    ours = [sys.executable, "-m", "convlstm_cli", "--help"]
    empty = [sys.executable, "-c", EMPTY, "--help"]
    pairs = [(seconds(ours), seconds(empty)) for _ in range(runs + 1)][1:]  # the first one fills the disk cache
    for name, times in zip(("convlstm --help", "an empty Typer program"), zip(*pairs, strict=True), strict=True):
        print(f"{name:24s} {statistics.median(times) * 1e3:6.0f} ms (median of {runs})")
    print(f"ratio, median of pairs   {statistics.median(a / b for a, b in pairs):6.2f}")


if __name__ == "__main__":
    main()
