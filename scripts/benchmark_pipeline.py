"""Where the time of `convlstm train` goes: decoding, loading, the step and its parts, validation, writing.

.venv/bin/python scripts/benchmark_pipeline.py
.venv/bin/python scripts/benchmark_pipeline.py MY_VIDEOS --rounds 20 --json

The network and the training have the defaults of `convlstm train`. The last lines report two targets: the loader alone
gives at least five times the clips that training consumes in the same time; and a step of the training loop takes at
most 1.1 times a bare step (forward, loss and backward of the same network on a fixed batch), measured in turn with it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from bench.terminal import say, target
from convlstm_cli.compute import device, memory
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.runs.checkpoint import Checkpoint
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.state import State
from convlstm_cli.scoring.evaluation import evaluate_clips

# The training loop's own helpers, so that the measured code is the code that trains.
from convlstm_cli.training.batches import batches
from convlstm_cli.training.budget import Budget
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.training.result import write_sample
from convlstm_cli.training.step import TrainStep, initial_network
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare
from convlstm_cli.video.tensors import to_float

T = TypeVar("T")

LOADER_TARGET, STEP_TARGET = 5.0, 1.1


def main() -> int:
    options = parse()
    memory.keep_freed_memory()  # as `convlstm train` does
    model = ForecasterConfig(
        options.size,
        options.size,
        1,
        hidden=tuple(map(int, options.hidden.split(","))),
        input_frames=options.input_frames,
        horizon=options.frames,
    )
    config = TrainConfig(batch_size=options.batch_size, device="cpu" if options.cpu else "auto")
    with tempfile.TemporaryDirectory(prefix="convlstm-") as folder:
        results = measure(options.folder, model, config, options.rounds, Path(folder))
    if options.json:
        print(json.dumps(results, indent=2, allow_nan=False))
    else:
        show(results)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="sample_data", help="a folder of videos")
    parser.add_argument("--rounds", type=int, default=10, help="measured steps, after two that warm up")
    parser.add_argument("--size", type=int, default=64, help="this and the next as in `convlstm train`")
    parser.add_argument("--hidden", default=",".join(map(str, ForecasterConfig.hidden)))
    parser.add_argument("--input-frames", type=int, default=10)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--cpu", action="store_true", help="on the CPU even where there is an accelerator")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def measure(folder: str, model: ForecasterConfig, config: TrainConfig, rounds: int, place: Path) -> dict[str, Any]:
    """All times in ms; files are written to `place`."""
    data, decode, index = read(folder, model, place / "cache")
    model = ForecasterConfig(**asdict(model) | {"channels": data.channels})
    compute = device.choose(config.device, config.precision, learning=True)
    step = TrainStep(model, config, compute, None)
    clips = data.clips("train")
    validation = data.clips("validation")

    say("the loader alone")
    began = time.perf_counter()
    loaded = [len(clip) for clip, _ in batches(clips, config, epoch=0)]
    loading = time.perf_counter() - began

    times = steps(data, model, config, compute, step, rounds)

    say("validation and writing")
    run = Run.create(place / "run", {})
    evaluation, validating = timed(
        lambda: evaluate_clips(
            step.averaged, validation, compute, config.batch_size
        )  # persistence too: the first epoch
    )
    _, again = timed(
        lambda: evaluate_clips(step.averaged, validation, compute, config.batch_size, known=evaluation.persistence)
    )
    _, checkpoint = timed(lambda: run.save_resume(Checkpoint(State(), step.state_dict())))
    _, weights = timed(lambda: run.save_weights(step.averaged.state_dict()))
    _, sample = timed(lambda: write_sample(run, step.averaged, validation, compute, 1))

    middle = {name: statistics.median(found) for name, found in times.items()}
    count = len(loaded)
    loop = [a + b for a, b in zip(times["to_float"], times["step"], strict=True)]
    bare = [a + b for a, b in zip(times["forward"], times["backward"], strict=True)]
    ratios = [a / b for a, b in zip(loop, bare, strict=True)]
    rest = statistics.median(a - b for a, b in zip(times["step"], bare, strict=True))
    load = loading / count
    epoch = {
        "load batches": load * count,
        "to_float": middle["to_float"] * count,
        "step: forward and loss": middle["forward"] * count,
        "step: backward": middle["backward"] * count,
        "step: optimiser, clipping, average": rest * count,
        "validation": again,
        "checkpoint": checkpoint,
        "best weights": weights,
        "sample": sample,
    }
    total = sum(epoch.values())
    loader_rate, step_rate = sum(loaded) / loading, config.batch_size / statistics.median(loop)
    return {
        "network": asdict(model),
        "compute": str(compute),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "videos": len(data.library.videos),
        "clips": {"train": len(clips), "validation": len(validation)},
        "steps_per_epoch": count,
        "once_ms": {"decode (cold cache)": decode * 1e3, "index (warm cache)": index * 1e3},
        "first_validation_ms": validating * 1e3,
        "epoch": {name: {"ms": spent * 1e3, "share": spent / total} for name, spent in epoch.items()},
        "batch_ms": {"load": load * 1e3, **{name: spent * 1e3 for name, spent in middle.items()}},
        "clips_per_second": {"loader": loader_rate, "step": step_rate, "ratio": loader_rate / step_rate},
        "step_of_bare": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
    }


def read(folder: str, model: ForecasterConfig, cache: Path) -> tuple[VideoData, float, float]:
    """The videos, the seconds of decoding them into a new cache, and those of reading that cache."""
    config = DataConfig((folder,), height=model.height, width=model.width)
    before = os.environ.get("CONVLSTM_CACHE")
    os.environ["CONVLSTM_CACHE"] = str(cache)
    try:
        say(f"decoding {folder}")
        _, cold = timed(lambda: prepare(config, model.input_frames, model.horizon))
        data, warm = timed(lambda: prepare(config, model.input_frames, model.horizon))
    finally:  # the usual cache holds the compiled kernels
        if before is None:
            del os.environ["CONVLSTM_CACHE"]
        else:
            os.environ["CONVLSTM_CACHE"] = before
    return data, cold, warm


def steps(
    data: VideoData,
    model: ForecasterConfig,
    config: TrainConfig,
    compute: device.Compute,
    step: TrainStep,
    rounds: int,
) -> dict[str, list[float]]:
    """Seconds of the parts of a step of the training loop, and of a bare step on a fixed batch, measured in turn."""
    network = initial_network(model, config.seed).to(compute.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loaded = [batch for batch, _ in batches(data.clips("train"), config, epoch=0)]
    # Full batches only: the last one of an epoch may hold fewer clips.
    full = [batch for batch in loaded if len(batch) == len(loaded[0])]
    budget = Budget(config, len(full))
    frames, truth = to_float(full[0], compute.device).tensor_split([model.input_frames], dim=1)

    def forward() -> Tensor:
        network.zero_grad()
        with compute.autocast():
            forecast = network(frames, truth.shape[1])
        return LOSSES[config.loss].measure(forecast.float(), truth, frames[:, -1:])

    def in_the_loop(number: int) -> dict[str, float]:
        clip, converting = timed(lambda: to_float(full[number % len(full)], compute.device))
        _, stepping = timed(lambda: step(clip, budget.rate(max(number, 0), 0.0)))
        return {"to_float": converting, "step": stepping}

    def bare(_: int) -> dict[str, float]:
        loss, forwards = timed(forward)
        _, backwards = timed(loss.backward)
        return {"forward": forwards, "backward": backwards}

    times: dict[str, list[float]] = {name: [] for name in ("to_float", "step", "forward", "backward")}
    for number in range(-2, rounds):
        say(f"step {number + 1} of {rounds}" if number >= 0 else "warming up")
        # The order alternates, since each step leaves its caches and the processor's clock to the next one.
        for work in (in_the_loop, bare) if number % 2 else (bare, in_the_loop):
            for name, spent in work(number).items():
                if number >= 0:
                    times[name].append(spent)
    return times


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result of `work` and its seconds, including work that is queued on an accelerator."""
    began = time.perf_counter()
    result = work()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return result, time.perf_counter() - began


def show(results: dict[str, Any]) -> None:
    """Prints the results as text."""
    clips = results["clips"]
    print(f"{results['videos']} videos, {clips['train']} training and {clips['validation']} validation clips", end="; ")
    print(f"{results['compute']}, torch {results['torch']}, {results['threads']} threads")
    print("\nonce                                          ms")
    for name, ms in results["once_ms"].items():
        print(f"{name:36s} {ms:10.1f}")
    print(f"\nan epoch of {results['steps_per_epoch']:3d} steps                          ms   share")
    for name, part in results["epoch"].items():
        print(f"{name:36s} {part['ms']:10.1f}  {part['share']:6.1%}")
    rates, ratio = results["clips_per_second"], results["step_of_bare"]
    print(
        f"\nloader alone {rates['loader']:.0f} clips/s, step {rates['step']:.1f} clips/s: {rates['ratio']:.0f} times",
        end="",
    )
    print(f" ({target(rates['ratio'] >= LOADER_TARGET, f'at least {LOADER_TARGET:.0f}')})")
    print(f"step of the loop / bare step {ratio['median']:.3f} ({ratio['min']:.3f} to {ratio['max']:.3f})", end="")
    print(f" ({target(ratio['median'] <= STEP_TARGET, f'at most {STEP_TARGET}')})")


if __name__ == "__main__":
    sys.exit(main())
