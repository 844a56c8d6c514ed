"""Makes the plan of a new comparison: settles the batch size, what is matched, and the steps of each training."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.matching import match_parameters, time_steps, with_steps
from convlstm_cli.comparing.plan import Arm, Plan
from convlstm_cli.comparing.processes import threads_of
from convlstm_cli.compute import device
from convlstm_cli.errors import UsageError
from convlstm_cli.train import check_options
from convlstm_cli.training.config import AUTO_BATCH, AUTO_INIT, FRESH, LIMITS, TrainConfig
from convlstm_cli.training.memory import with_batch_size
from convlstm_cli.training.network import for_videos
from convlstm_cli.training.weighting import measure_of
from convlstm_cli.video.data import VideoData

DEFAULT_TIME = 240.0
"""Seconds that all trainings together may take where no limit is given."""


def make_plan(
    data: VideoData, arms: Sequence[Arm], config: CompareConfig, folder: Path, should_stop: Callable[[], bool]
) -> Plan:
    """The plan of a comparison in `folder`, where nothing is written yet.

    Every arm has the data's channels, the same batch size, and steps as its only limit.

    Raises:
        UsageError: arms that do not differ, settings that do not go together, or a device that is not there.
        Interrupted: when asked to stop while steps are timed.
    """
    arms = [replace(arm, model=for_videos(arm.model, data, arm.training)) for arm in arms]
    arms = [_with_init(arm) for arm in arms]
    _check(arms, config, data)
    arms = _with_batch_size(arms, config, data)
    settings = _settings(data, arms[0], config)
    if config.match == "params":
        widened = match_parameters([arm.model for arm in arms])
        arms = [replace(arm, model=model) for arm, model in zip(arms, widened, strict=True)]
    arms = [replace(arm, training=_with_limit(arm.training)) for arm in arms]
    arms = with_steps(arms, _timed(data, arms, config, should_stop), config, data)
    first = arms[0].training.seed
    return Plan(folder, tuple(arms), tuple(range(first, first + config.seeds)), data.to_dict(), settings)


def _with_init(arm: Arm) -> Arm:
    """The arm with its start settled: drawn weights, unless others were asked for."""
    init = FRESH if arm.training.init == AUTO_INIT else arm.training.init
    return replace(arm, training=replace(arm.training, init=init))


def _check(arms: Sequence[Arm], config: CompareConfig, data: VideoData) -> None:
    for name in config.devices:
        device.choose(name, arms[0].training.precision)
    for one, other in itertools.combinations(arms, 2):
        if (one.model, one.training) == (other.model, other.training):
            raise UsageError(f"the arms {one.name} and {other.name} are set alike, so there is nothing to compare.")
    for arm in arms:
        check_options(arm.model, arm.training)
        measure_of(arm.training, data.values)  # refuses weights that do not fit the values


def _with_batch_size(arms: list[Arm], config: CompareConfig, data: VideoData) -> list[Arm]:
    """The arms with the largest batch that fits for every arm, where it is `auto`."""
    open_arms = [arm for arm in arms if arm.training.batch_size == AUTO_BATCH]
    if not open_arms:
        return arms
    training = open_arms[0].training
    compute = device.choose(next(iter(config.devices), training.device), training.precision)
    at_once = math.ceil(config.at_once(len(arms) * config.seeds) / max(1, len(config.devices)))
    models, clips = [arm.model for arm in open_arms], len(data.clips("train"))
    settled = with_batch_size(training, models, clips, compute, at_once=at_once).batch_size
    return [replace(arm, training=replace(arm.training, batch_size=arm.training.batch_size or settled)) for arm in arms]


def _settings(data: VideoData, first: Arm, config: CompareConfig) -> dict[str, dict[str, Any]]:
    """What was asked for, before anything is matched."""
    return {
        "data": asdict(data.config),
        "model": asdict(first.model),
        "training": asdict(first.training),
        "compare": asdict(config),
    }


def _with_limit(training: TrainConfig) -> TrainConfig:
    limited = any(getattr(training, name) is not None for name in LIMITS)
    return training if limited else replace(training, max_time=DEFAULT_TIME)


def _timed(data: VideoData, arms: Sequence[Arm], config: CompareConfig, should_stop: Callable[[], bool]) -> list[float]:
    """Seconds of a step of each arm, on as many threads as it will have."""
    if config.devices:
        arms = [replace(arm, training=replace(arm.training, device=config.devices[0])) for arm in arms]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads_of(config.at_once(len(arms) * config.seeds)))
    try:
        return time_steps(data, arms, arms[0].training.seed, should_stop)
    finally:
        torch.set_num_threads(threads)
