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

from bench.terminal import say
from convlstm_cli.cli.console import stop_on_signals
from convlstm_cli.compute import memory
from convlstm_cli.errors import ConvLSTMError, Interrupted
from convlstm_cli.files import write_text
from convlstm_cli.reporting import pictures
from convlstm_cli.settings import parse_duration
from convlstm_cli.video.painting import Painter
from moving_mnist import digits, settings, systems, tables, testing
from moving_mnist.command_line import options_of
from moving_mnist.planning import describe_machine, plan
from moving_mnist.training import Say, ShouldStop, Source, Training

SHOWN = 4
"""Test sequences in the picture."""


def main() -> int:
    options = options_of(__doc__).parse_args()
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


def write_pictures(path: Path, forecasts: Mapping[str, testing.Forecast], source: Source) -> None:
    """Writes the first test sequences as strips of input, truth and forecasts."""
    frames, truth = source.test(0)[:SHOWN].tensor_split([source.input_frames], dim=1)
    made = {name: forecast(frames) for name, forecast in forecasts.items()}
    strips = []
    for index in range(len(frames)):
        rows = {"input": frames[index], "truth": truth[index]}
        rows |= {name: found[index] for name, found in made.items() if name != testing.COPY}
        strips.append(pictures.strip(rows, Painter()))
    pictures.write_image(path, np.concatenate(strips))


if __name__ == "__main__":
    sys.exit(main())
