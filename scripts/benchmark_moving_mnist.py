"""Moving MNIST: our forecaster beside the plain PyTorch ConvLSTM, trained for the same time or number of steps.

.venv/bin/python scripts/benchmark_moving_mnist.py --mnist FOLDER --minutes 20
.venv/bin/python scripts/benchmark_moving_mnist.py --mnist FOLDER --epochs 200 --systems ours --batch-size 16
.venv/bin/python scripts/benchmark_moving_mnist.py --mnist FOLDER --max-time 10m     # the next call resumes

FOLDER holds MNIST's train-images-idx3-ubyte and t10k-images-idx3-ubyte, plain or .gz; nothing is downloaded. The
sequences are drawn by the rules of Srivastava et al. 2015 (moving_mnist/sequences.py), 10 frames in and 10 out: new
sequences of the training digits for every batch, the same for every system, and 10,000 of the test digits. Digits that
are held out of training give the learning curve. The defaults are those of `convlstm train`.

With --minutes the steps of all systems are timed in turn, and each system is then trained for the number of steps that
fit, so that a machine that slows down halfway favours none. Ctrl-C, SIGTERM and --max-time save and end with exit code
130; a call with the same options resumes, on a CPU to exactly the weights of one long call. The output folder holds
each system's state (.pt), learning curve (-curve.jsonl) and scores by sequence (-test.npz), the plan (plan.json), and
some forecasts (test.png). Results go to stdout, everything else to stderr.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import machine
from bench.terminal import say
from convlstm_cli.cli.console import stop_on_signals
from convlstm_cli.compute import device, memory
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import ConvLSTMError, Interrupted, RunError
from convlstm_cli.files import write_text
from convlstm_cli.nn.gates import why_no_kernel
from convlstm_cli.reporting import pictures
from convlstm_cli.settings import parse_duration
from convlstm_cli.training.presets import PRESETS
from moving_mnist import digits, settings, systems, tables, testing, training
from moving_mnist.settings import Settings
from moving_mnist.training import Clips, Say, ShouldStop, Source, Training

SHOWN = 4
"""Test sequences in the picture."""


def main() -> int:
    options = parser().parse_args()
    memory.keep_freed_memory()  # as `convlstm train` does; every system benefits
    try:
        limit = math.inf if options.max_time is None else parse_duration("--max-time", options.max_time)
        end = time.monotonic() + limit
        with stop_on_signals() as asked:
            results = run(options, lambda: asked() or time.monotonic() > end, say)
        print(tables.show(results))
        if options.json is not None:
            write_text(options.json, json.dumps(results, indent=2, allow_nan=False) + "\n")
    except Interrupted as stopped:
        say(f"{stopped}; the same options resume")
        return stopped.exit_code
    except ConvLSTMError as error:
        say(f"error: {error}")
        return error.exit_code
    say(f"wrote {options.output}")
    return 0


def parser(*, add_help: bool = True) -> argparse.ArgumentParser:
    """The options; `settings.of_options` checks their values."""
    formatter = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=__doc__, formatter_class=formatter, add_help=add_help)
    made.add_argument("--mnist", type=Path, default=Path("mnist"), metavar="FOLDER", help="the digits")
    made.add_argument("--output", "-o", type=Path, default=Path("runs/moving-mnist"), metavar="FOLDER")
    made.add_argument("--systems", default=",".join(settings.SYSTEMS), help="ours,plain or one of them")
    length = made.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=20.0, help="training time of each system")
    length.add_argument("--epochs", type=int, help=f"epochs of {settings.EPOCH} sequences instead")
    length.add_argument("--steps", type=int, help="optimiser steps instead")
    made.add_argument("--max-time", metavar="10m", help="time limit of this call, which then saves and ends")
    made.add_argument(
        "--preset", choices=list(PRESETS), default="small", help="this and the next six: as in convlstm train"
    )
    made.add_argument("--hidden", metavar="64,64")
    made.add_argument("--kernel-size", type=int)
    made.add_argument("--patch-size", type=int)
    made.add_argument("--batch-size", type=int)
    made.add_argument("--seed", type=int)
    made.add_argument("--device", help="auto, cpu, cuda ...")
    several: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=VALUE"}
    made.add_argument("--model-option", **several, help="any other field of ForecasterConfig, such as head=sigmoid")
    made.add_argument("--train-option", **several, help="any other field of TrainConfig, such as learning_rate=1e-3")
    made.add_argument(
        "--plain-head", choices=("sigmoid", "linear"), default="sigmoid", help="head of the plain network"
    )
    made.add_argument("--test-sequences", type=int, default=10_000)
    made.add_argument("--validation-sequences", type=int, default=500)
    made.add_argument("--curve", type=int, default=10, help="points of the learning curve; 0 for none")
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    return made


def run(options: argparse.Namespace, should_stop: ShouldStop, say: Say) -> dict[str, Any]:
    """Plans, trains and tests, and resumes where an earlier call stopped.

    Raises Interrupted, after saving, when `should_stop` returns True.
    """
    chosen = settings.of_options(options)
    mnist = digits.read(options.mnist)
    source = Source(mnist, chosen)
    planned = plan(options.output, chosen, mnist.digest, source, should_stop, say)
    trained: dict[str, Training] = {}
    for name in chosen.systems:
        one = Training(name, chosen, source, planned["steps"][name], options.output)
        if not one.ended:
            testing.forget(options.output, name)
            one.run(should_stop, say)
        trained[name] = one
    forecasts: dict[str, testing.Forecast] = {name: of.system.forecast for name, of in trained.items()}
    forecasts[testing.COPY] = testing.copying(chosen.model.horizon)
    count, folder = options.test_sequences, options.output
    rows = {
        name: testing.test(name, forecast, source, count, folder, should_stop, say)
        for name, forecast in forecasts.items()
    }
    write_pictures(options.output / "test.png", forecasts, source)
    scored: dict[str, dict[str, Any]] = {name: testing.summary(found) for name, found in rows.items()}
    for name, of in trained.items():
        about = {"parameters": of.system.parameters, "steps": of.steps, "minutes": of.state["seconds"] / 60}
        scored[name] |= about | {"curve": of.state["curve"]}
    return {
        **planned,
        "about": systems.describe(chosen),
        "machine": describe_machine(chosen),
        "test_sequences": options.test_sequences,
        "systems": scored,
        "ratio": testing.ratio(rows["ours"], rows["plain"]) if len(trained) == len(settings.SYSTEMS) else None,
    }


def plan(
    folder: Path, chosen: Settings, digest: int, source: Clips, should_stop: ShouldStop, say: Say
) -> dict[str, Any]:
    """The settings, and the number of steps of each system with their timing, from an earlier call where there is one.

    Raises UsageError if the folder holds a benchmark with other settings.
    """
    path = folder / "plan.json"
    flat = chosen.flat(digest)
    if path.exists():
        try:
            earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            before = earlier["settings"]
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{path}: cannot be read ({error}); choose another --output.") from error
        settings.check_unchanged(flat, before, str(folder))
        return earlier
    made = {"settings": flat, **training.plan(source, chosen, should_stop, say)}
    write_text(path, json.dumps(made, indent=2) + "\n")
    return made


def describe_machine(chosen: Settings) -> dict[str, Any]:
    """The machine, the device and the versions."""
    compute = device.choose(chosen.train.device, chosen.train.precision)
    where = str(compute)
    if compute.device.type == "cuda":
        where += f" ({torch.cuda.get_device_name(compute.device)})"
    return {
        **machine.describe(),
        "device": where,
        "threads": torch.get_num_threads(),
        **versions(),
        "kernel": why_no_kernel(compute.dtype, compute.device) or "compiled",
    }


def write_pictures(path: Path, forecasts: Mapping[str, testing.Forecast], source: Source) -> None:
    """Writes the first test sequences as strips of input, truth and forecasts."""
    frames, truth = source.test(0)[:SHOWN].tensor_split([source.input_frames], dim=1)
    made = {name: forecast(frames) for name, forecast in forecasts.items()}
    strips = []
    for index in range(len(frames)):
        rows = {"input": frames[index], "truth": truth[index]}
        rows |= {name: found[index] for name, found in made.items() if name != testing.COPY}
        strips.append(pictures.strip(rows))
    pictures.write_image(path, np.concatenate(strips))


if __name__ == "__main__":
    sys.exit(main())
