"""How long the help page of every command takes beside a Typer program that does nothing.

Both run as whole processes, in pairs, so that whatever else the machine does slows both. The wall-clock time is what a
user waits; the processor time is the steadier of the two on a busy machine.

.venv/bin/python scripts/benchmark_help.py --runs 20
"""

import argparse
import sys
from functools import partial

from bench.paired import in_turn, medians, seconds
from convlstm_cli.cli.app import COMMANDS

EMPTY = """
import typer
app = typer.Typer()
@app.command()
def main() -> None:
    '''Does nothing.'''
app()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    empty = [sys.executable, "-c", EMPTY, "--help"]
    print(f"medians of {runs} pairs: milliseconds of ours, of the empty program, and the ratio")
    print(f"{'':25s}{'wall clock':^22s}{'processor':^22s}")
    for name in ("", *COMMANDS):
        ours = [sys.executable, "-m", "convlstm_cli", *name.split(), "--help"]
        line = f"convlstm {name:9s} --help"
        pairs = in_turn(partial(seconds, ours), partial(seconds, empty), runs)
        for clock in (0, 1):
            own, other, ratio = medians((a[clock], b[clock]) for a, b in pairs)
            line += f"  {own * 1e3:6.0f} {other * 1e3:6.0f} {ratio:5.2f}"
        print(line)


if __name__ == "__main__":
    main()
