"""Whether memory, start-up and loading stay within their targets as folders and videos grow.

.venv/bin/python scripts/benchmark_scale.py                  # all four, under eight minutes on 2 quiet cores
.venv/bin/python scripts/benchmark_scale.py --only startup   # or train, loader, predict
.venv/bin/python scripts/benchmark_scale.py --scale tiny     # tests the script in a minute; its numbers mean nothing

train    peak memory of `train` with 1, 10 and 100 times the videos: constant within 10 %
startup  seconds from the start of a second `train` on 10,000 cached videos to its first step: at most 5 more than
         importing torch takes
loader   clips per second of the loader alone: at least 5 times those of training, for the default network and for
         --preset base, both at 64x64
predict  peak memory of `predict` for inputs of 100 and of 10,000 frames, for forecasts of as many frames, and for
         forecasts of as many known frames, which are scored: constant within 10 %

Each measurement runs in a process of its own. Peaks are those of the whole process, torch included.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.machine import peak_mb
from bench.terminal import say, target

# No torch here: on Linux a process starts with the peak memory of the process that started it.

FLAT, STARTUP_SECONDS, LOADER_RATIO = 1.10, 5.0, 5.0
"""The targets."""

KNOWN = 20
"""Input frames of a forecast."""

TINY = ["--size", "32", "--hidden", "4", "--kernel-size", "3", "--input-frames", "4", "--frames", "3", "--device=cpu"]
"""A network so small that the growth of anything else shows."""

FIRST_STEP = """
import os, sys
from convlstm_cli.cli import app as cli
from convlstm_cli import train
train.TrainStep.differentiate = lambda *_, **__: os._exit(0)
sys.argv = ["convlstm", "train", *sys.argv[1:]]
cli.main()
"""
"""A program that exits with 0 right before the first optimiser step of a training."""

LOADER_AND_STEP = """
import dataclasses, json, sys, time
from convlstm_cli.compute import device, memory
from convlstm_cli.video.data import prepare
from convlstm_cli.video.tensors import to_float
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.cli.options import build
from convlstm_cli.training.presets import PRESETS
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.training.batches import batches
from convlstm_cli.training.step import TrainStep

folder, size, preset, rounds = sys.argv[1], int(sys.argv[2]), PRESETS[sys.argv[3]], int(sys.argv[4])
memory.keep_freed_memory()  # as `convlstm train` does
config = build(TrainConfig, {"device": "auto", **preset})
model = build(ForecasterConfig, preset, height=size, width=size, channels=1)
data = prepare(DataConfig((folder,), height=size, width=size), model.input_frames, model.horizon)
model = dataclasses.replace(model, channels=data.channels)
clips, compute = data.clips("train"), device.choose(config.device, config.precision, learning=True)

def load(most):
    count, began = 0, time.perf_counter()
    for batch, _ in batches(clips, config, epoch=0):
        count += len(batch)
        if count >= most:
            break
    return count / (time.perf_counter() - began), batch

load(config.batch_size)  # lazy imports
rate, _ = load(2000)
_, batch = load(config.batch_size)
step, frames = TrainStep(model, config, compute, None), to_float(batch, compute.device)
step(frames), step(frames)
began = time.perf_counter()
for _ in range(rounds):
    step(frames)
learnt = rounds * len(batch) / (time.perf_counter() - began)
print(json.dumps({"loader": rate, "training": learnt}))
"""


@dataclasses.dataclass(frozen=True)
class Scale:
    """The amounts of data that the measurements use."""

    videos: int
    """Videos of the smallest training."""
    growth: tuple[int, ...]
    many: int
    """Videos of the start-up measurement."""
    repeats: int
    size: int
    """Side of the frames that the loader gives."""
    rounds: int
    """Training steps that are timed beside the loader."""
    short: int
    long: int
    """Frames of a forecast."""


SCALES = {
    "full": Scale(10, (1, 10, 100), 10_000, 3, 64, 3, 100, 10_000),
    "tiny": Scale(3, (1, 2), 20, 1, 16, 1, 10, 30),
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One target and its measurement."""

    what: str
    measured: dict[str, float]
    unit: str
    value: float
    """The number that is held to the limit."""
    limit: float
    at_most: bool = True

    @property
    def holds(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def __str__(self) -> str:
        measured = ", ".join(f"{label} {found:.4g} {self.unit}" for label, found in self.measured.items())
        verdict = target(self.holds, f"at {'most' if self.at_most else 'least'} {self.limit:g}")
        return f"{self.what:18s} {measured}: {self.value:.2f} ({verdict})"


def main() -> int:
    rows: dict[str, Callable[[Scale, Path], list[Claim]]] = {
        "train": train,
        "startup": startup,
        "loader": loader,
        "predict": predict,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=rows, help="a single measurement; all if not given")
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    options = parser.parse_args()
    results = []
    for name in [options.only] if options.only else rows:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="convlstm-") as place:
            os.environ["CONVLSTM_CACHE"] = str(Path(place) / "cache")
            claims = rows[name](SCALES[options.scale], Path(place))
        say(f"{name}: took {time.perf_counter() - began:.0f} s")
        results += claims
        if not options.json:
            print("\n".join(map(str, claims)), flush=True)
    if options.json:
        print(json.dumps([{**dataclasses.asdict(claim), "holds": claim.holds} for claim in results], indent=2))
    return 0


def train(scale: Scale, place: Path) -> list[Claim]:
    """Peak memory of training by number of videos."""

    def peak(name: str, videos: int, *options: object) -> int:
        say(f"train: {videos} videos")
        make_videos(place / name, videos, frames=100, size=32)
        return convlstm("train", place / name, *TINY, "-q", "-o", place / f"run-{name}", *options)

    peak("first", 3, "--max-steps", 1)  # compiles kernels
    counts = [scale.videos * growth for growth in scale.growth]
    return [flat("train", {f"{count} videos": peak(str(count), count, "--max-steps", 20) for count in counts})]


def startup(scale: Scale, place: Path) -> list[Claim]:
    """Seconds to the first step of a second run, less those of importing torch."""
    folder = place / "videos"
    make_videos(folder, scale.many, frames=8, size=16)

    def start(name: str) -> float:
        say(f"startup: {name}")
        command = [sys.executable, "-c", FIRST_STEP, folder, *TINY, "--size", "16", "-q", "-o", place / name]
        return timed(command)

    first = start("decoding")
    rounds = [
        (start(f"run-{number}"), timed([sys.executable, "-c", "import torch"])) for number in range(scale.repeats)
    ]
    again, torch = (statistics.median(times) for times in zip(*rounds, strict=True))
    seconds = {f"decoding {scale.many} videos": first, "second run": again, "import torch": torch}
    return [Claim("startup", seconds, "s", again - torch, STARTUP_SECONDS)]


def loader(scale: Scale, place: Path) -> list[Claim]:
    """Clips per second of the loader and of training, for two presets."""
    folder, claims = place / "videos", []
    make_videos(folder, 30, frames=100, size=scale.size)
    for preset in ("small", "base"):
        say(f"loader: --preset {preset}")
        command = [sys.executable, "-c", LOADER_AND_STEP, folder, scale.size, preset, scale.rounds]
        found = json.loads(run(command))
        ratio = found["loader"] / found["training"]
        claims.append(Claim(f"loader, {preset}", found, "clips/s", ratio, LOADER_RATIO, at_most=False))
    return claims


def predict(scale: Scale, place: Path) -> list[Claim]:
    """Peak memory of a forecast by the length of the input, of the forecast, and of a scored forecast."""
    make_videos(place / "videos", 3, frames=20, size=32)
    convlstm("train", place / "videos", *TINY, "--max-steps", 1, "-q", "-o", place / "run")
    lengths = scale.short, scale.long
    for frames in (0, *lengths):
        make_video(place / f"{frames}.npy", KNOWN + frames, size=64, seed=0)

    def peak(video: int, *options: object) -> int:
        say(f"predict: {' '.join(map(str, (f'{KNOWN + video} frames', *options)))}")
        out = place / f"out-{time.monotonic_ns()}"
        source = place / f"{video}.npy"
        return convlstm("predict", source, "-m", place / "run", "-o", out, "--device", "cpu", "-q", *options)

    peak(0)  # compiles kernels
    known = "--at", KNOWN, "--format", "webm"
    return [
        flat("predict, input", {f"{frames} frames": peak(frames) for frames in lengths}),
        flat("predict, --frames", {f"{frames} frames": peak(0, "--frames", frames) for frames in lengths}),
        flat("predict, scored", {f"{frames} frames": peak(frames, *known, "--frames", frames) for frames in lengths}),
    ]


def flat(what: str, peaks: dict[str, float]) -> Claim:
    """The claim that no peak is much above the first."""
    return Claim(what, peaks, "MB", max(peaks.values()) / next(iter(peaks.values())), FLAT)


def convlstm(*arguments: object) -> int:
    """Runs a convlstm command; its peak memory in MB."""
    child = subprocess.Popen([sys.executable, "-m", "convlstm_cli", *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"convlstm {arguments[0]} ended with {child.returncode}")
    return round(peak_mb(usage.ru_maxrss))


def timed(command: list[object]) -> float:
    """Runs a process; its seconds."""
    began = time.perf_counter()
    run(command)
    return time.perf_counter() - began


def run(command: list[object]) -> str:
    """Runs a process; its stdout."""
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout


def make_videos(folder: Path, count: int, frames: int, size: int) -> None:
    """Writes arrays of moving squares, each with a motion of its own."""
    folder.mkdir()
    for number in range(count):
        make_video(folder / f"{number:05d}.npy", frames, size, seed=number)


def make_video(path: Path, frames: int, size: int, seed: int) -> None:
    """Writes a grey array (frames, size, size) of a square that moves and wraps around at the edges."""
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, size, 2)
    down, right = rng.choice([-2, -1, 1, 2], 2)
    video = np.repeat(rng.integers(0, 100, (1, size, size), np.uint8), frames, axis=0)  # no two videos are alike
    side = np.arange(size // 4)
    for t, frame in enumerate(video):
        frame[np.ix_((row + down * t + side) % size, (column + right * t + side) % size)] = 200
    np.save(path, video)


if __name__ == "__main__":
    sys.exit(main())
