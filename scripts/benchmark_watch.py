"""How well `convlstm watch` finds anomalies that are planted into videos, by kind, beside other scores of a frame.

.venv/bin/python scripts/benchmark_watch.py
.venv/bin/python scripts/benchmark_watch.py FOLDER --members 10 --repeats 8

Each video is cut into thirds. Anomalies are planted into one third, and the frames of the other two are the normal
ones. Without a FOLDER the videos are made up: bouncing and passing shapes, with a disc as the object. In a FOLDER of
videos under a fixed camera the largest moving object of each is cut out and planted again.

AUC is that of frames (Liu et al. 2018 and others): of the frames that show something abnormal, and of those that the
frames before give no reason to expect, since a network that sees an object stand still soon expects it to. `found` is
the share of anomalies that raise an alarm at the rarest rate that the normal frames show.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.machine import describe
from bench.planting import KINDS, LASTING, Frames, Planted, Sprite, area_under_curve, disc, moving_object, planted
from bench.terminal import aligned, say
from convlstm_cli.compute import device
from convlstm_cli.runs.run import Run
from convlstm_cli.synthetic import clip
from convlstm_cli.video.geometry import resize
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.search import find_videos
from convlstm_cli.video.tensors import to_float
from convlstm_cli.watching.calibration import UsualErrors, cross_scores, threshold_of
from convlstm_cli.watching.config import WatchConfig
from convlstm_cli.watching.forecaster import Forecaster
from convlstm_cli.watching.input_format import InputFormat, input_format_of
from convlstm_cli.watching.patches import Surprise, pooled, side_of
from convlstm_cli.watching.patches import surprise as surprise_of
from convlstm_cli.watching.steps import Step
from convlstm_cli.watching.windows import batches
from convlstm_cli.weights.pretrained import open_run

PARTS = 3
MADE_UP = ("bouncing", "carried", "beads", "traffic")
"""Scenes of the made-up videos."""
PLANTED_SIDE = 256
"""Longest side in pixels at which anomalies are planted: larger than what the network sees."""
SMALLEST = 1e-4
"""Variance that is added to that of members: 2.5 levels of 255 squared."""
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What each score is made of, of each frame that can be forecast; patches are (T, rows, columns)."""

    surprise: Tensor
    """Those of `convlstm watch`: the fair CRPS of members, or the absolute error of one forecast."""
    spread: Tensor
    """The error that the forecast leaves open."""
    square: Tensor
    """Mean squared error of the forecast."""
    frame: Tensor
    """Mean squared error of the whole frame, (T,)."""
    standardised: Tensor
    """Squared error in the variance of the members and a floor."""

    def __getitem__(self, chosen: Any) -> "Measured":
        return Measured(*(value[chosen] for value in vars(self).values()))


def largest(patches: Tensor) -> Tensor:
    """The highest value of the patches of each frame, (T,)."""
    return patches.nan_to_num(-torch.inf).flatten(1).max(dim=1).values


SCORES: dict[str, Callable[[Measured, Measured], Tensor]] = {
    "squared error of the frame": lambda found, _: found.frame,
    "largest squared error of a patch": lambda found, _: largest(found.square),
    "the same, standardised": lambda found, _: largest(found.standardised),
    "the same, in the usual": lambda found, normal: largest(found.square / UsualErrors.of(normal.square).error),
    "largest error of a patch": lambda found, _: largest(found.surprise),
    "the same, in what is left open": lambda found, normal: largest(
        found.surprise / (normal.surprise.nanmean() + found.spread)
    ),
    "the same, in the usual there": lambda found, normal: largest(
        found.surprise / UsualErrors.of(normal.surprise).error
    ),
    "watch: in both": lambda found, normal: UsualErrors.of(normal.surprise).scores(
        Surprise(found.surprise, found.spread)
    )[0],
}
"""By name, the scores of frames beside normal ones. The first orders frames as the PSNR of Liu et al. 2018 does; the
last is that of `convlstm watch`, whose error is the CRPS of members, or the absolute error of one forecast."""
WATCH = "watch: in both"


def main() -> int:
    options = parse()
    config = WatchConfig(members=options.members, size=options.size)
    run = open_run(Path(options.model))
    run = run.for_members() if options.members else run
    rows: dict[str, dict[str, list[tuple[float, float, bool]]]] = defaultdict(lambda: defaultdict(list))
    alarms: list[float] = []
    for name, frames, sprite in videos(options.folder, options.videos, options.frames):
        say(f"{name}: {len(frames)} frames of {frames.shape[1]}x{frames.shape[2]}")
        random = np.random.default_rng(options.seed)
        measure_video(frames, sprite, run, config, random, options.kinds, options.repeats, rows, alarms)
    table = [row_of(name, kinds) for name, kinds in rows.items()]
    if options.json:
        print(
            json.dumps(
                {
                    "machine": describe(),
                    "members": options.members,
                    "scores": table,
                    "false_alarms": float(np.mean(alarms)),
                },
                indent=2,
            )
        )
    else:
        show(table)
        print(
            f"false alarms in a normal third: {np.mean(alarms):.2f}; the threshold allows one in the other two thirds"
        )
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="videos under fixed cameras; made-up ones if not given")
    parser.add_argument("--model", default="pretrained", help="the run that watches")
    parser.add_argument("--members", type=int, default=0, help="members that each frame is compared with")
    parser.add_argument("--size", help="frame size at which frames are compared, as for watch")
    parser.add_argument("--videos", type=int, default=8, help="made-up videos")
    parser.add_argument("--frames", type=int, default=150, help="frames of a made-up video")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="kinds of anomalies")
    parser.add_argument("--repeats", type=int, default=6, help="anomalies of each kind in each video")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def videos(folder: Path | None, count: int, length: int) -> Iterator[tuple[str, Frames, Sprite]]:
    """Names, frames and objects of the videos; a note of a video without a moving object goes to stderr."""
    if folder is None:
        for seed in range(count):
            scene = MADE_UP[seed % len(MADE_UP)]
            frames = clip(seed, length, 64, 64, kind=scene)
            yield f"{scene} {seed}", frames, disc(np.random.default_rng(seed), 64, frames.shape[-1])
        return
    for name, path in find_videos([folder]).videos:
        with open_video(path) as video:
            frames = np.stack([smaller(frame) for frame in video])
        sprite = moving_object(frames)
        if sprite is None:
            say(f"{name}: shows no whole moving object under a fixed camera, and is left out")
        else:
            yield name, frames, sprite


def smaller(frame: Frames) -> Frames:
    """A frame with sides of at most `PLANTED_SIDE`."""
    scale = min(1.0, PLANTED_SIDE / max(frame.shape[:2]))
    return resize(frame, *(round(side * scale) for side in frame.shape[:2]))


def measure_video(
    frames: Frames,
    sprite: Sprite,
    run: Run,
    config: WatchConfig,
    random: np.random.Generator,
    kinds: Sequence[str],
    repeats: int,
    rows: dict[str, dict[str, list[tuple[float, float, bool]]]],
    alarms: list[float],
) -> None:
    """Plants anomalies into each third of a video, and adds their figures to `rows`."""
    input_format, forecaster = prepared(frames, run, config)
    reach = forecaster.reach
    normal = measured(frames, input_format, forecaster)
    numbers = np.arange(reach, len(frames))
    edges = np.linspace(reach, len(frames), PARTS + 1).astype(int)
    for part in range(PARTS):
        first, stop = edges[part], edges[part + 1]
        inside = (numbers >= first) & (numbers < stop)
        others = torch.from_numpy((numbers < first - reach) | (numbers >= stop + reach))
        reference = normal[others]
        limits = {name: crossed(score, reference).max() for name, score in SCORES.items()}
        calm = SCORES[WATCH](normal[torch.from_numpy(inside)], reference).numpy()
        known = cross_scores(Surprise(reference.surprise, reference.spread))
        rarest = threshold_of(known, np.arange(len(known)), reach, 1.0, 1e-9).score
        above = np.flatnonzero(calm > rarest)
        alarms.append(float((np.diff(above) > reach).sum() + (len(above) > 0)))
        for kind in kinds:
            for _ in range(max(1, repeats // PARTS)):
                at = int(random.integers(first + 5, max(first + 6, stop - LASTING - 5)))
                found = planted(frames, kind, sprite, random, at)
                add(found, frames, normal, reference, limits, (first, stop), input_format, forecaster, rows, kind)


def add(
    found: Planted,
    frames: Frames,
    normal: Measured,
    reference: Measured,
    limits: dict[str, float],
    part: tuple[int, int],
    input_format: InputFormat,
    forecaster: Forecaster,
    rows: dict[str, dict[str, list[tuple[float, float, bool]]]],
    kind: str,
) -> None:
    """Adds the figures of one planted anomaly; frames that it does not touch are not forecast again."""
    reach = forecaster.reach
    touched = np.flatnonzero((found.frames != frames).any(axis=(1, 2, 3)))
    first, stop = max(reach, int(touched[0])), min(len(frames), int(touched[-1]) + reach + 1)
    again = measured(found.frames[first - reach : stop], input_format, forecaster)
    calm = np.arange(max(part[0], reach), part[1])
    calm = calm[(calm < first) | (calm >= stop)] - reach
    shown, changes = found.shown[first:stop], found.changes[first:stop]
    for name, score in SCORES.items():
        scores = score(again, reference).double().numpy()
        rest = score(normal[torch.from_numpy(calm)], reference).double().numpy()
        rest = np.concatenate((rest, scores[~(shown | changes)]))
        if not shown.any() or not changes.any() or not len(rest):
            continue
        rows[name][kind].append(
            (
                area_under_curve(rest, scores[shown]),
                area_under_curve(rest, scores[changes]),
                bool(scores[shown | changes].max() > limits[name]),
            )
        )


def crossed(score: Callable[[Measured, Measured], Tensor], normal: Measured) -> Scores:
    """Scores of normal frames, each beside the frames of other parts."""
    count = len(normal.frame)
    scores = np.empty(count)
    for part in np.array_split(np.arange(count), 6):
        others = torch.ones(count, dtype=torch.bool)
        others[part] = False
        scores[part] = score(normal[part], normal[others]).double().numpy()
    return scores


def prepared(frames: Frames, run: Run, config: WatchConfig) -> tuple[InputFormat, Forecaster]:
    """How a run sees frames, and its network."""
    array = Array(frames)
    input_format, run = input_format_of(array, list(frames[:32]), run, config)  # type: ignore[arg-type]
    compute = device.choose(config.device, config.precision)
    return input_format, Forecaster(run, config, compute)


class Array:
    """Frames in memory with what `input_format_of` asks of a video."""

    path = Path("frames")
    unit, missing, declared_range = "", None, None

    def __init__(self, frames: Frames) -> None:
        self.dtype = frames.dtype


def measured(frames: Frames, input_format: InputFormat, forecaster: Forecaster) -> Measured:
    """What scores are made of, of all frames but the first `reach`."""
    steps = (Step(at + 1, None, frame, begins=at == 0) for at, frame in enumerate(frames))
    found: list[Measured] = []
    side = side_of(*input_format.size)
    for batch in batches(steps, input_format, forecaster.reach, 16):
        if not len(batch.clips):
            continue
        members = forecaster.forecast(batch.clips)[:, :, 0].cpu()
        truth = to_float(batch.clips[:, -1], torch.device("cpu"))
        there = torch.ones_like(truth, dtype=torch.bool)
        patches = surprise_of(members, to_float(batch.clips[:, -2], torch.device("cpu")), truth, there)
        square = (truth - members.mean(dim=0)).square()
        variance = members.var(dim=0) if len(members) > 1 else 0.0
        in_variance = square / (variance + SMALLEST)
        means = (pooled(each, there.float(), side) for each in (square, in_variance))
        square_of_patches, standardised = means
        frame = square.mean(dim=(1, 2, 3))
        found.append(Measured(patches.error, patches.spread, square_of_patches, frame, standardised))
    return Measured(*(torch.cat(values) for values in zip(*(vars(each).values() for each in found), strict=True)))


def row_of(name: str, kinds: dict[str, list[tuple[float, float, bool]]]) -> dict[str, Any]:
    """The mean figures of a score, by kind."""
    means = {kind: np.mean(figures, axis=0).round(3).tolist() for kind, figures in kinds.items()}
    return {"score": name, "kinds": means, "mean": np.mean(list(means.values()), axis=0).round(3).tolist()}


def show(table: list[dict[str, Any]]) -> None:
    """Prints three tables: both AUCs, and the share that is found."""
    titles = ("AUC of frames that show it", "AUC of frames where it begins or ends", "share that is found")
    for at, title in enumerate(titles):
        print(f"{title}\n")
        heads = ["score", *table[0]["kinds"], "mean"]
        lines = [[row["score"], *(f"{each[at]:.2f}" for each in row["kinds"].values()), f"{row['mean'][at]:.3f}"]
                 for row in table]  # fmt: skip
        print(aligned([heads, *lines]), end="\n\n")


if __name__ == "__main__":
    sys.exit(main())
