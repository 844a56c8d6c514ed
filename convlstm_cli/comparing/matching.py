"""What makes a comparison fair: the same initial values, and the same steps, time or parameters."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Arm
from convlstm_cli.compute import device
from convlstm_cli.errors import Interrupted, UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.training.batches import steps_per_epoch
from convlstm_cli.training.budget import Budget
from convlstm_cli.training.initial import start
from convlstm_cli.training.step import TrainStep, initial_network
from convlstm_cli.video.data import VideoData
from convlstm_cli.video.tensors import to_float

TIMED_STEPS = 10
"""Steps of each arm that are timed, in turn, after a first one that is not."""
CLOSE = 0.01
"""A network whose parameter count is closer than this share is not widened: one channel would change it by more."""
ROUGH = 0.1
"""Largest share by which the parameter counts of matched networks differ."""
WIDEST = 16.0
"""Largest factor by which a network is widened."""


def match_parameters(models: Sequence[ForecasterConfig]) -> list[ForecasterConfig]:
    """Widens the networks so that each has about as many parameters as the largest.

    All layers are widened by about the same factor, then each by a channel more or less, to whatever comes closest. A
    network that is within `CLOSE` stays as it is, and keeps the initial values that it shares with the others.

    Raises UsageError where that ends further than `ROUGH` from the largest.
    """
    target = max(map(parameter_count, models))
    widened = [_widened(model, target) for model in models]
    for before, model in zip(models, widened, strict=True):
        if abs(parameter_count(model) - target) > ROUGH * target:
            raise UsageError(
                f"--match params: of {target:,} parameters, the network of {parameter_count(before):,} comes no closer "
                f"than {parameter_count(model):,} by its width; use --match steps, or another --hidden."
            )
    return widened


def _widened(model: ForecasterConfig, target: int) -> ForecasterConfig:
    if target - parameter_count(model) <= CLOSE * target:
        return model
    low, high = 1.0, WIDEST
    for _ in range(20):  # parameters rise with the width
        middle = (low + high) / 2
        low, high = (middle, high) if parameter_count(_scaled(model, middle)) < target else (low, middle)
    around = _scaled(model, low).hidden
    shifts = itertools.product((-1, 0, 1), repeat=len(around))
    widths = [tuple(max(1, width + shift) for width, shift in zip(around, by, strict=True)) for by in shifts]
    candidates = [replace(model, hidden=hidden) for hidden in dict.fromkeys(widths)]
    return min(candidates, key=lambda candidate: abs(parameter_count(candidate) - target))


def _scaled(model: ForecasterConfig, factor: float) -> ForecasterConfig:
    return replace(model, hidden=tuple(max(1, round(width * factor)) for width in model.hidden))


def initial_weights(arms: Sequence[Arm], arm: Arm, seed: int) -> dict[str, Tensor]:
    """An arm's initial weights for a seed.

    Weights that the first arm's network without peepholes has too (the same name and shape) get the values that `train`
    draws for that network; the others are drawn for this arm. They are copied because drawing peepholes moves the
    random numbers on for everything that is drawn after them.

    Where the arms start from given weights (`--init`), these take the place of drawn ones, but for peepholes: all arms
    start as the plain cell with the same kernels. Raises UsageError where they do not fit the arm's network.
    """
    shared = initial_network(replace(arms[0].model, peephole="none"), seed).state_dict()
    shared |= start(arm.training.init, arm.model, peepholes=False).weights or {}
    own = initial_network(arm.model, seed).state_dict()
    return {name: shared[name] if _fits(shared, name, value) else value for name, value in own.items()}


def _fits(shared: Mapping[str, Tensor], name: str, value: Tensor) -> bool:
    return name in shared and shared[name].shape == value.shape


def time_steps(
    data: VideoData, arms: Sequence[Arm], seed: int, should_stop: Callable[[], bool] = lambda: False
) -> list[float]:
    """Seconds of an optimiser step of each arm, timed in turn.

    For the first arm it is the median of its steps. For the others it is that median times the median ratio of their
    step to the first arm's step beside it: a machine that slows down for a while changes both times and not the ratio.
    Raises Interrupted when asked to stop.
    """
    clips = data.clips("train")
    steps = []
    for arm in arms:
        compute = device.choose(arm.training.device, arm.training.precision, learning=True)
        indices = [index % len(clips) for index in range(arm.training.batch_size)]
        batch = to_float(torch.stack([clips[index] for index in indices]), compute.device)
        initial = initial_weights(arms, arm, seed)
        steps.append((TrainStep(arm.model, arm.training, compute, initial, values=data.values), batch))
    times: list[list[float]] = [[] for _ in arms]
    warm_ups = max(step.warm_ups for step, _ in steps)
    for turn in range(warm_ups + TIMED_STEPS):
        for own, (step, batch) in zip(times, steps, strict=True):
            if should_stop():
                raise Interrupted("interrupted; nothing was begun.")
            began = time.perf_counter()
            step(batch)  # which ends with the loss as a number, and so waits for a GPU
            if turn >= warm_ups:
                own.append(time.perf_counter() - began)
    ratios = [[one / first for one, first in zip(own, times[0], strict=True)] for own in times]
    return [statistics.median(times[0]) * statistics.median(own) for own in ratios]


def with_steps(arms: Sequence[Arm], seconds: Sequence[float], config: CompareConfig, data: VideoData) -> list[Arm]:
    """The arms with their limits turned into a number of optimiser steps, and without early stopping.

    A limit of steps or epochs holds for each training; where time is matched, for those of the slowest arm. A limit of
    time holds for the whole comparison, its validation included.

    Args:
        seconds: time of an optimiser step of each arm.
    """
    clips, validation = data.clips("train"), len(data.clips("validation"))
    trainings = len(arms) * config.seeds
    rounds = math.ceil(trainings / config.at_once(trainings))
    per_epoch = [steps_per_epoch(clips, arm.training) for arm in arms]
    # A forward pass and its scores take about half of a step.
    full = [
        own * (1.0 + 0.5 * math.ceil(validation / arm.training.batch_size) / steps)
        for arm, own, steps in zip(arms, seconds, per_epoch, strict=True)
    ]
    steps = [Budget(arm.training, batches).steps for arm, batches in zip(arms, per_epoch, strict=True)]
    times = [arm.training.max_time for arm in arms]
    found = []
    for arm, own in zip(arms, full, strict=True):
        slower, mean = (max(full) / own, own) if config.match == "time" else (1.0, statistics.fmean(full))
        limits = [int(limit * slower) for limit in steps if limit is not None]
        limits += [int(limit / rounds / mean) for limit in times if limit is not None]
        training = replace(arm.training, epochs=None, max_time=None, max_steps=max(1, min(limits)), patience=0)
        found.append(replace(arm, training=training))
    return [replace(arm, step_seconds=own) for arm, own in zip(found, seconds, strict=True)]
