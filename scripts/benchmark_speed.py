"""Speed and memory of ConvLSTM layers: ours, the plain PyTorch cell, Keras and others, beside the convolutions alone.

.venv/bin/python scripts/benchmark_speed.py
.venv/bin/python scripts/benchmark_speed.py --quick --shapes a --plot speed.png
.venv/bin/python scripts/benchmark_speed.py --device cuda
.venv/bin/python scripts/benchmark_speed.py --python tf=OTHER_ENVIRONMENT/bin/python --peer theirs=convlstm.py:ConvLSTM

Three networks: (a) one layer on 64x64 frames, (b) the encoder-forecaster of Shi et al. 2015, (c) one layer on 128x128
colour frames. train is forward and backward to the weights, without an optimiser; infer is forward without
gradients. The loss is the mean of the squares of all hidden states of the last stack. The floor is every convolution
that a step needs, called alone in the faster of the two orders of memory, times the number of steps.

Every system runs in a process of its own; all processes but one are stopped at any time. The systems take turns, round
by round, so that each ratio compares times that lie next to each other: `x floor` and `x ours` are medians over rounds,
with the least and greatest `x ours`. Memory is the peak of a process that has only trained; its growth counts from
before the first step and includes jit compilers; on a GPU it is what torch allocates. A system whose step takes more
than ten seconds is measured in two rounds only. The script installs nothing: systems that cannot be imported are
omitted, and those that fail are named at the end. Results go to stdout, everything else to stderr. Needs Linux or
macOS.
"""

import argparse
import fnmatch
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import machine
from bench.terminal import say
from speed import plot, systems, tables
from speed.measure import Group, floor_rounds, ratios
from speed.processes import Failed, Worker, end_on_terminate
from speed.shapes import GROWTH_SIZE, GROWTH_STEPS, SHAPES, Shape, tiny
from speed.systems import System

MODES = ("train", "infer")


def main() -> int:
    options = parse()
    end_on_terminate()
    if options.dtype == "bfloat16" and options.device == "cpu" and not machine.has_bfloat16():
        say("bfloat16 is skipped: this processor has neither avx512_bf16 nor amx_bf16, so it would be emulated.")
        return 0
    common = {name: getattr(options, name) for name in ("threads", "allocator", "dtype", "device")}
    floor = System("floor", {"kind": "floor"}, sys.executable, note="the convolutions alone")
    if options.convolutions:
        return convolutions(floor, common, options)

    failures: list[dict[str, str]] = []
    chosen = choose(options, failures)
    shapes = [SHAPES[name] for name in options.shapes]
    if options.scale == "tiny":
        shapes = list(map(tiny, shapes))
    results: dict[str, Any] = {
        "machine": machine.describe(),
        "settings": {**common, "rounds": options.rounds, "scale": options.scale},
        "shapes": {shape.name: {**asdict(shape), "text": str(shape)} for shape in shapes},
        "systems": {},
        "speed": [],
        "convolutions": {},
        "growth": [],
        "failures": failures,
    }
    for shape in shapes:
        measure_shape(shape, [floor, *chosen], options, common, results)
    if options.growth:
        measure_growth(chosen, options, common, results)

    for failure in failures:
        say(f"omitted: {failure['system']} {failure['shape']}: {failure['reason']}".replace("  ", " "))
    if options.json:
        print(json.dumps(results, indent=2, allow_nan=False))
    else:
        show(results)
    if options.plot is not None and results["speed"]:
        plot.bars(results["speed"], {shape.name: str(shape) for shape in shapes}, options.plot)
        say(f"wrote {options.plot}")
    return 0 if any(row["system"] != "floor" for row in results["speed"]) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds, after one that warms up")
    parser.add_argument("--shapes", type=names_of(SHAPES), default=list(SHAPES), help="such as a,b,c")
    parser.add_argument("--mode", type=names_of(MODES), default=list(MODES), help="train,infer")
    parser.add_argument(
        "--systems", default="*", help="only those that match one of these patterns, such as ours,keras*"
    )
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="bfloat16 is autocast")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1; on a GPU only systems of PyTorch compute")
    parser.add_argument("--threads", type=int, help="cores for every process; all if not given")
    parser.add_argument(
        "--allocator",
        choices=("keep", "default"),
        default="keep",
        help="keep: every process keeps freed memory, as `convlstm train` does; default: none does",
    )
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="interpreter with peers")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=FILE.py:CLASS",
        help="a PyTorch class: (input_dim, hidden_dim, kernel_size, num_layers, ...) over (B, T, C, H, W), or "
        "a cell (in_channel, num_hidden, height, width, filter_size, stride, layer_norm) called as cell(x, h, c)",
    )
    parser.add_argument("--no-kernel", action="store_true", help="measure ours without its compiled kernel, too")
    parser.add_argument(
        "--no-growth", dest="growth", action="store_false", help="omit the table of growth with T and H*W"
    )
    parser.add_argument("--convolutions", action="store_true", help="measure single convolutions only")
    parser.add_argument("--quick", action="store_true", help="two rounds and no growth")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full", help="tiny tests the script, not speed")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="write a chart of the ratios to the floor")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.growth = 2, False
    if options.device.partition(":")[0] not in ("cpu", "cuda"):
        parser.error(f"--device is {options.device!r}; give cpu, cuda or cuda:1")
    if options.convolutions and options.device != "cpu":
        parser.error("--convolutions measures the CPU's only; leave --device out")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        systems.of_files(sys.executable, options.peer)
    except ValueError as error:
        parser.error(str(error))
    for python in options.python:
        if not all(python.partition("=")[::2]):
            parser.error(f"--python is {python!r}; give NAME=PATH")
    return options


def names_of(known: Sequence[str] | dict[str, Shape]) -> Any:
    """A parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {','.join(known)}")
        return [name for name in known if name in wanted]

    return parse


def choose(options: argparse.Namespace, failures: list[dict[str, str]]) -> list[System]:
    """The systems to measure, without the floor."""
    on_cpu = options.device == "cpu"
    bf16 = options.dtype == "float32" and (not on_cpu or machine.has_bfloat16())
    captured = options.device.startswith("cuda")
    found = systems.of_torch(sys.executable, kernel_off=options.no_kernel, bf16=bf16, captured=captured)
    if not on_cpu:
        found += systems.of_files(sys.executable, options.peer)
        say(f"{options.device}: only systems of PyTorch.")
    elif options.dtype == "float32":
        pythons = {"": sys.executable} | dict(python.split("=", 1) for python in options.python)
        found += systems.of_files(sys.executable, options.peer) + systems.of_keras(pythons, failures)
    else:
        say("bfloat16: only ours and the plain cell.")
    patterns = options.systems.split(",")
    return [system for system in found if any(fnmatch.fnmatchcase(system.name, pattern) for pattern in patterns)]


def measure_shape(
    shape: Shape,
    measured: Sequence[System],
    options: argparse.Namespace,
    common: dict[str, Any],
    results: dict[str, Any],
) -> None:
    """Adds the measurements of one shape to the results."""
    say(f"{shape.name}: {shape}")
    with Group(measured, [shape], common) as group:
        for mode in options.mode:  # train is first: afterwards the memory is that of training only
            (seconds,), parts = group.rounds([shape], mode, options.rounds)
            memory = group.memory(shape) if mode == "train" else {}
            if parts and "floor" in seconds:
                seconds["floor"], single = floor_rounds(parts, shape.steps)
                results["convolutions"].setdefault(shape.name, {})[mode] = single
            for name, times in seconds.items():
                row = {"shape": shape.name, "mode": mode, "system": name, "ms": statistics.median(times) * 1e3}
                row["of_floor"] = ratios(times, seconds["floor"]) if "floor" in seconds else {}
                row["of_ours"] = ratios(times, seconds["ours"]) if "ours" in seconds else {}
                row["rounds_ms"] = [time * 1e3 for time in times]
                results["speed"].append(row | (memory.get(name, {}) if name != "floor" else {}))
    record(results, group, measured)


def measure_growth(
    measured: Sequence[System], options: argparse.Namespace, common: dict[str, Any], results: dict[str, Any]
) -> None:
    """Adds the growth of the training step's time with the sequence and with the image to the results."""
    series = {"step": GROWTH_STEPS, "pixel": GROWTH_SIZE}
    if options.scale == "tiny":
        series = {unit: {n: tiny(shape) for n, shape in points.items()} for unit, points in series.items()}
    for unit, points in series.items():
        say(f"growth with {'the steps' if unit == 'step' else 'the image'}")
        shapes = list(points.values())
        with Group(measured, shapes, common) as group:
            seconds, _ = group.rounds(shapes, "train", options.rounds)
        first = shapes[0]
        for name, base in seconds[0].items():
            relative = {}
            for shape, of_systems in zip(shapes, seconds, strict=True):
                units = shape.steps / first.steps * (shape.size / first.size) ** 2
                label = f"T={shape.steps}" if unit == "step" else f"{shape.size}x{shape.size}"
                relative[label] = ratios(of_systems[name], base)["median"] / units
            ms = statistics.median(base) * 1e3
            results["growth"].append({"per": unit, "system": name, "first_ms": ms, "relative": relative})
        record(results, group, measured)


def record(results: dict[str, Any], group: Group, measured: Sequence[System]) -> None:
    """Adds the systems and failures of a group to the results."""
    results["failures"] += group.failures
    for system in measured:
        if system.name in group.about:
            about = {"note": system.note, **group.about[system.name]}
            results["systems"].setdefault(system.name, about)


def convolutions(floor: System, common: dict[str, Any], options: argparse.Namespace) -> int:
    """Measures and prints single convolutions only; returns the exit code."""
    try:
        worker = Worker(floor.python, floor.request | common, {})
    except Failed as why:
        say(f"the convolutions cannot be measured: {why}")
        return 1
    try:
        say("single convolutions; this takes a while")
        message = {"do": "convolutions", "rounds": options.rounds, "tiny": options.scale == "tiny"}
        rows = worker.ask(message)["rows"]
    except Failed as why:
        say(f"the convolutions cannot be measured: {why}")
        return 1
    finally:
        worker.close()
    if options.json:
        about = {"machine": machine.describe(), "settings": common, "systems": {"floor": worker.about}}
        print(json.dumps({**about, "single": rows}, indent=2, allow_nan=False))
    else:
        print(heading(machine.describe(), common))
        print(f"\n{tables.convolution_table(rows)}\n")
        print(
            "ours: nn/convolution.py. These times exclude its work per sequence: packing the weight, and reordering the"
        )
        print("sum of the weight gradients. error: the largest, relative to the largest value.")
    return 0


def heading(about: dict[str, Any], settings: dict[str, Any]) -> str:
    """The machine and the settings of the measurement."""
    instructions = ", ".join(about["instructions"]) or "no known vector instructions"
    threads = settings["threads"] or "all"
    return (
        f"{about['cpu']} ({about['cores']} cores, {instructions}), {about['memory_gb']} GB, {about['system']}\n"
        f"{settings['device']}, {settings['dtype']}, {threads} threads, allocator: {settings['allocator']}"
    )


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    print(heading(results["machine"], results["settings"]), f"{results['settings']['rounds']} rounds", sep=", ")
    for name, shape in results["shapes"].items():
        for mode in MODES:
            rows = [row for row in results["speed"] if (row["shape"], row["mode"]) == (name, mode)]
            if rows:
                print(f"\n{name}, {mode}: {shape['text']}\n{tables.speed_table(rows)}")
    for unit in ("step", "pixel"):
        rows = [row for row in results["growth"] if row["per"] == unit]
        if rows:
            print(f"\ngrowth: time of training per {unit}, relative to the first column")
            print(tables.growth_table(rows, unit))
    print("\nnotes")
    for name, about in results["systems"].items():
        versions = ", ".join(f"{key} {value}" for key, value in about.items() if key != "note")
        print(f"  {name}: {versions}{'; ' if about['note'] else ''}{about['note']}")
    for failure in results["failures"]:
        print(f"  omitted: {failure['system']} {failure['shape']}: {failure['reason']}")


if __name__ == "__main__":
    sys.exit(main())
