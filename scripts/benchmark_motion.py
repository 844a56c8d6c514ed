"""How much time the compiled kernel for motion saves, in the search, in moving frames on, in forecasts and in training.

.venv/bin/python scripts/benchmark_motion.py
.venv/bin/python scripts/benchmark_motion.py --sizes 64,256 --batches 1,8 --rounds 20 --json

The network is the shipped one for grey, which forecasts 10 frames from 10 made-up ones. Each row is computed by tensors
and with the kernel in turn, so that whatever else the machine does slows both; the first pair does not count. A
training step is forward and backward without an optimiser, in bfloat16 where `convlstm train` takes that, else in
float32. All other kernels are on in both.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from bench.machine import describe
from bench.paired import in_turn, medians, timed
from bench.terminal import aligned, say
from convlstm_cli.compute.device import choose
from convlstm_cli.compute.memory import keep_freed_memory
from convlstm_cli.nn import motion
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.synthetic import clip
from convlstm_cli.training.losses import sharp
from convlstm_cli.weights.pretrained import model_of

INPUTS, HORIZON = 10, 10


def main() -> int:
    options = parse()
    if (reason := motion.why_no_kernel(torch.device("cpu"))) is not None:
        say(f"there is no kernel to measure: {reason}")
        return 1
    keep_freed_memory()  # as the commands do
    torch.set_num_threads(options.threads or torch.get_num_threads())
    network = EncoderForecaster(model_of("grey"))
    rows = [
        row
        for size in map(int, options.sizes.split(","))
        for batch in map(int, options.batches.split(","))
        for row in measure(network, made_up(batch, size), options.rounds)
    ]
    results = {"machine": describe(), "threads": torch.get_num_threads(), "rows": rows}
    if options.json:
        print(json.dumps(results, indent=2, allow_nan=False))
    else:
        show(rows)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="64,256", help="sides of the square frames")
    parser.add_argument("--batches", default="1,8", help="clips at once")
    parser.add_argument("--rounds", type=int, default=11, help="pairs of measurements")
    parser.add_argument("--threads", type=int, default=0, help="cores; all if not given")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def made_up(batch: int, size: int) -> Tensor:
    """Clips (batch, INPUTS + HORIZON, 1, size, size) in [0, 1]."""
    clips = [clip(seed, INPUTS + HORIZON, size, size) for seed in range(batch)]
    return torch.stack([torch.from_numpy(frames).permute(0, 3, 1, 2) for frames in clips]).float() / 255.0


def measure(network: EncoderForecaster, clips: Tensor, rounds: int) -> list[dict[str, Any]]:
    """A row for each part: median milliseconds by tensors and with the kernel, and the median of their ratios."""
    frames, truth = clips[:, :INPUTS], clips[:, INPUTS:]
    advection = network.eval().advection(frames)
    compute = choose("cpu", learning=True)

    def forecast() -> None:
        with torch.inference_mode():
            network.eval()(frames, HORIZON)

    def step() -> None:
        network.train().zero_grad()
        with compute.autocast():
            forecast = network(frames, HORIZON)
        sharp(forecast.float(), truth, frames[:, -1:]).backward()  # type: ignore[no-untyped-call]

    parts: dict[str, Callable[[], object]] = {
        "search": lambda: motion.estimate_motions(
            frames, network.config.motions, network.config.lookbacks(frames.shape[1])
        ),
        "moving on": lambda: advection.advance(HORIZON),
        "forecast": forecast,
        f"training step, {compute.precision}": step,
    }
    rows = []
    for name, work in parts.items():
        say(f"measuring {name} of {len(clips)}x{clips.shape[-1]}x{clips.shape[-1]} ...")
        found = medians(in_turn(partial(timed_by_tensors, work), partial(timed, work), rounds))
        size = {"side": clips.shape[-1], "clips": len(clips)}
        times = {"tensors_ms": 1000 * found.own, "kernel_ms": 1000 * found.other, "ratio": found.ratio}
        rows.append({"part": name, **size, **times})
    return rows


def timed_by_tensors(work: Callable[[], object]) -> float:
    """Seconds that work takes where motion is computed without the kernel."""
    with patch("convlstm_cli.nn.motion.choice.has_kernel_for", lambda *_: False):
        return timed(work)


def show(rows: list[dict[str, Any]]) -> None:
    head = ["part", "side", "clips", "tensors (ms)", "kernel (ms)", "tensors / kernel"]
    cells = [
        [
            row["part"],
            str(row["side"]),
            str(row["clips"]),
            *(f"{row[name]:.1f}" for name in ("tensors_ms", "kernel_ms")),
            f"{row['ratio']:.2f}",
        ]
        for row in rows
    ]
    print(aligned([head, *cells]))


if __name__ == "__main__":
    sys.exit(main())
