"""Memory and time of one training step by sequence length, with and without --checkpoint-every.

.venv/bin/python scripts/benchmark_memory.py
.venv/bin/python scripts/benchmark_memory.py --steps 50,100,200 --checkpoint-every 10

One ConvLSTM layer runs forward and backward once, each length in a process of its own. The memory is the growth of the
process's peak in MB.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch

from bench.machine import peak_mb
from convlstm_cli.nn import ConvLSTM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="25,50,100,200", help="lengths of the sequence")
    parser.add_argument("--checkpoint-every", default="none,10", help="steps whose gates are kept; none keeps all")
    parser.add_argument("--size", type=int, default=128, help="height and width of the frames")
    parser.add_argument("--hidden", type=int, default=16, help="channels of the states")
    parser.add_argument(
        "--one", action="store_true", help="measure one length in this process, as the script's own calls do"
    )
    options = parser.parse_args()
    if options.one:
        measure(int(options.steps), options.checkpoint_every, options.size, options.hidden)
        return
    lengths = options.steps.split(",")
    print(f"{'MB, and seconds, for T =':36s}" + "".join(f"{length:>16s}" for length in lengths))
    for every in options.checkpoint_every.split(","):
        row = []
        for length in lengths:
            sizes = ["--size", str(options.size), "--hidden", str(options.hidden)]
            command = [sys.executable, __file__, "--one", "--steps", length, "--checkpoint-every", every, *sizes]
            row.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        label = "all gates kept" if every == "none" else f"gates of {every} steps kept"
        print(f"{label:36s}" + "".join(f"{cell:>16s}" for cell in row), flush=True)


def measure(steps: int, every: str, size: int, hidden: int) -> None:
    """Prints the growth of the peak in MB, and the seconds, of one training step."""
    layer = ConvLSTM(1, hidden, 3, checkpoint_every=None if every == "none" else int(every))
    layer(torch.rand(1, 2, 1, 16, 16))[0].sum().backward()  # compiles kernels and loads what torch imports lazily
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x = torch.rand(1, steps, 1, size, size)
    began = time.perf_counter()
    layer(x)[0].square().mean().backward()
    seconds = time.perf_counter() - began
    print(f"{peak_mb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before):.0f}, {seconds:.2f}")


if __name__ == "__main__":
    main()
