"""Comparison: do peephole connections help on these videos? One arm for each kind, matched in all else."""

import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convlstm_cli import device, pictures
from convlstm_cli.baselines import persistence
from convlstm_cli.data import VideoData
from convlstm_cli.errors import Interrupted, OutputError, UsageError
from convlstm_cli.evaluate import Evaluation, forecast_clip, to_float
from convlstm_cli.files import write_text, writing
from convlstm_cli.metrics import finite
from convlstm_cli.nn.config import ForecasterConfig, Peephole, check_choice
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.progress import Progress
from convlstm_cli.run import Run
from convlstm_cli.settings import TrainConfig
from convlstm_cli.train import TrainStep, initial_network, train
from convlstm_cli.video.writer import open_writer

TIMED_STEPS = 5
"""Steps of each arm that are timed, in turn, after one that is not."""


@dataclass(frozen=True)
class Arm:
    """One arm of a comparison, trained and tested."""

    peephole: Peephole
    folder: Path
    parameters: int
    step_seconds: float
    """Median time of an optimiser step, measured in turn with the other arms before training."""
    steps: int
    test: Evaluation


@dataclass(frozen=True)
class Comparison:
    """All arms, on the same test clips."""

    folder: Path
    arms: tuple[Arm, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """As comparison.json holds it."""
        return {
            "seed": self.seed,
            "persistence": self.arms[0].test.persistence.to_dict(),
            "arms": [
                {
                    "peephole": arm.peephole,
                    "run": str(arm.folder),
                    "parameters": arm.parameters,
                    "step_seconds": arm.step_seconds,
                    "steps": arm.steps,
                    "skill": finite(arm.test.skill),
                    "test": arm.test.model.to_dict(),
                }
                for arm in self.arms
            ],
        }


def compare(
    data: VideoData,
    model: ForecasterConfig,
    config: TrainConfig,
    folder: Path,
    *,
    peepholes: Sequence[Peephole] = ("none", "channel"),
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Trains one run per peephole kind and scores all of them on the same test clips.

    The arms share the seed, the order of the clips, the number of steps, the schedule, and the initial values of
    every weight that they have in common. `config.max_time` is the time of the whole comparison: the steps that
    fit into it are worked out from timed ones, and are the same for every arm. No arm stops early.

    Writes into `folder`: a run folder for each arm, comparison.json, comparison.png and comparison.webm.

    Raises:
        UsageError: fewer than two different kinds.
        OutputError: `folder` is there already, or cannot be written.
        Interrupted: an arm was interrupted; it was saved.
    """
    progress = progress or Progress()
    check_arms(peepholes)
    if folder.exists():
        raise OutputError(f"{folder}: is there already; choose another -o.")
    models = {kind: replace(model, peephole=kind) for kind in dict.fromkeys(peepholes)}
    initial = {kind: _initial_weights(arm, config.seed) for kind, arm in models.items()}
    seconds = _time_steps(data, models, initial, config)
    if config.max_time is not None:
        config = _fit_into(config, data, list(seconds.values()))
        progress.note(f"every arm trains for at most {config.max_steps} steps, which should fit into the time given")
    config = replace(config, patience=0)

    arms = []
    for kind, arm in models.items():
        progress.note(f"training the arm with {describe(kind)}")
        try:
            result = train(
                data, arm, config, folder / kind, initial=initial[kind], progress=progress, should_stop=should_stop
            )
        except Interrupted:
            raise Interrupted(
                f"interrupted; the arms so far are saved as runs in {folder}, but the comparison cannot go on: "
                "begin it again with another -o."
            ) from None
        arms.append(Arm(kind, folder / kind, parameter_count(arm), seconds[kind], result.steps, result.test))
    comparison = Comparison(folder, tuple(arms), config.seed)
    write_text(folder / "comparison.json", json.dumps(comparison.to_dict(), indent=2, allow_nan=False) + "\n")
    _write_side_by_side(comparison, data, config)
    return comparison


def check_arms(peepholes: Sequence[Peephole]) -> None:
    """Raises UsageError unless there are two different kinds of peephole at least."""
    for kind in peepholes:
        check_choice("--arms", kind, Peephole)
    if len(set(peepholes)) < 2:
        raise UsageError(f"--arms is {','.join(peepholes)}; a comparison needs at least two different kinds.")


def describe(kind: Peephole) -> str:
    """A peephole kind in words."""
    return {
        "none": "no peepholes",
        "channel": "one peephole weight per channel",
        "full": "one peephole weight per channel and position",
    }[kind]


def _initial_weights(model: ForecasterConfig, seed: int) -> dict[str, Tensor]:
    """An arm's own initial weights, and those of the plain arm wherever both have them.

    Copied, because drawing peepholes moves the random numbers on for everything that is drawn after them.
    """
    plain = initial_network(replace(model, peephole="none"), seed).state_dict()
    return {**initial_network(model, seed).state_dict(), **plain}


def _time_steps(
    data: VideoData,
    models: dict[Peephole, ForecasterConfig],
    initial: dict[Peephole, dict[str, Tensor]],
    config: TrainConfig,
) -> dict[Peephole, float]:
    """Median seconds of a step of each arm, in turn, so that a machine that slows down slows all of them."""
    compute = device.choose(config.device, config.precision)
    clips = data.clips("train")
    batch = torch.stack([clips[index % len(clips)] for index in range(config.batch_size)])
    steps = {kind: TrainStep(model, config, compute, initial[kind]) for kind, model in models.items()}
    times: dict[Peephole, list[float]] = {kind: [] for kind in models}
    for turn in range(TIMED_STEPS + 1):
        for kind, step in steps.items():
            began = time.perf_counter()
            step(to_float(batch, compute.device))
            if turn:
                times[kind].append(time.perf_counter() - began)
    return {kind: statistics.median(values) for kind, values in times.items()}


def _fit_into(config: TrainConfig, data: VideoData, step_seconds: list[float]) -> TrainConfig:
    """Turns the time of the comparison into a number of steps for each arm, validation counted in."""
    assert config.max_time is not None
    batches = {subset: math.ceil(len(data.clips(subset)) / config.batch_size) for subset in ("train", "validation")}
    # A forward pass and its scores take about half of a step.
    overhead = 1.0 + 0.5 * batches["validation"] / batches["train"]
    steps = max(1, int(config.max_time / (sum(step_seconds) * overhead)))
    return replace(config, max_time=None, max_steps=min(steps, config.max_steps or steps))


def _write_side_by_side(comparison: Comparison, data: VideoData, config: TrainConfig) -> None:
    """The first test clip: truth, copying the last frame, and every arm, as a picture and a video."""
    compute = device.choose(config.device, config.precision)
    clip = to_float(data.clips("test")[0][None], compute.device)  # (1, T, C, H, W)
    frames, truth = clip.tensor_split([data.input_frames], dim=1)
    rows = {"input": frames[0], "truth": truth[0], "copy last": persistence(frames, data.horizon)[0]}
    for arm in comparison.arms:
        network = Run.open(arm.folder).load_model(compute.device)
        rows[arm.peephole] = forecast_clip(network, frames, data.horizon, compute)[0]
    pictures.write_strip(comparison.folder / "comparison.png", rows)
    del rows["input"]
    with (
        writing(comparison.folder),
        open_writer(comparison.folder / "comparison.webm", "webm", 5.0) as writer,
    ):
        for lead in range(data.horizon):
            writer.write(pictures.strip({name: clip[lead : lead + 1] for name, clip in rows.items()}))
