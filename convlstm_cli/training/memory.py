"""The memory that training takes, and the batch and frames that fit into what is free."""

import functools
import math
from dataclasses import replace

import torch

from convlstm_cli.compute import device
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.compute.meta import Allocated
from convlstm_cli.errors import InsufficientMemoryError, UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster, parameter_count
from convlstm_cli.nn.noise import Noise
from convlstm_cli.reporting.numbers import size
from convlstm_cli.settings import MIN_SIDE
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig

WORKSPACE = 2.0
"""Peak memory of a step over what it keeps, at most: 0.7 to 1.8 was measured."""
GENEROUS = 20
"""Memory of a step over its frames and hidden states, at most: 4 to 7 was counted."""
LARGEST_ON_CPU, LARGEST_ELSEWHERE = 8, 32
"""Largest batches of `--batch-size auto`: on a CPU larger ones take as long per clip, and learn less from it."""


def with_batch_size(
    config: TrainConfig,
    models: list[ForecasterConfig],
    clips: int,
    compute: device.Compute,
    ranks: Ranks = ALONE,
    at_once: int = 1,
) -> TrainConfig:
    """The settings with `--batch-size auto` made a number: the largest power of two that fits for every network.

    At most `LARGEST_ON_CPU` or `LARGEST_ELSEWHERE` for each process, and no more than there are training clips.
    `at_once` is how many trainings share the device. Raises InsufficientMemoryError where not even one clip fits.
    """
    if config.batch_size != AUTO_BATCH:
        return config
    free = room(compute, ranks, at_once)
    most = LARGEST_ON_CPU if compute.device.type == "cpu" else LARGEST_ELSEWHERE
    batch = 2 ** int(math.log2(max(1, min(most * ranks.world, clips))))
    while batch > 1 and not all(_fits(model, config, batch, free, ranks) for model in models):
        batch //= 2
    config = replace(config, batch_size=batch)
    for model in models:
        if not _fits(model, config, batch, free, ranks):
            raise InsufficientMemoryError(
                f"--batch-size auto: not even one clip fits into memory{_remedies(model, config, free, ranks)}"
            )
    return config


def check(model: ForecasterConfig, config: TrainConfig, compute: device.Compute, ranks: Ranks = ALONE) -> None:
    """Raises InsufficientMemoryError for a training on the CPU that cannot fit into the system's memory.

    The system would kill the process, without a message, as soon as it had used the memory up.
    """
    free = room(compute, ranks) if compute.device.type == "cpu" else None
    if free is None or 40 * parameter_count(model) + GENEROUS * config.batch_size * _frames_and_states(model) < free:
        return  # without counting, which takes a second
    if _needed(model, config, config.batch_size, ranks) > free:
        raise InsufficientMemoryError(too_large(model, config, free, ranks))


def room(compute: device.Compute, ranks: Ranks = ALONE, at_once: int = 1) -> int | None:
    """Memory available to each process, in bytes; None where that is not known.

    `at_once` is the number of trainings that share the device.
    """
    free = device.free_memory(compute.device)
    # Each process has an accelerator of its own, and those of a machine share its memory.
    return None if free is None else free // (at_once * (ranks.local_world if compute.device.type == "cpu" else 1))


def too_large(model: ForecasterConfig, config: TrainConfig, free: int | None, ranks: Ranks = ALONE) -> str:
    """The message that a batch does not fit, with settings that do; `free` is the `room` before the training."""
    tried = (
        f"--batch-size {config.batch_size} with frames of {model.height}x{model.width} takes more memory than there is"
    )
    return tried + _remedies(model, config, free, ranks)


def _remedies(model: ForecasterConfig, config: TrainConfig, free: int | None, ranks: Ranks) -> str:
    if free is None:
        return "; lower --batch-size or --size."
    found = []
    batch = config.batch_size // 2
    of_process = math.ceil(config.batch_size / ranks.world)
    while batch and not (math.ceil(batch / ranks.world) < of_process and _fits(model, config, batch, free, ranks)):
        batch //= 2
    if batch:
        found.append(f"--batch-size {batch}")
    every = math.isqrt(max(model.input_frames, model.horizon))
    if config.checkpoint_every is None and _fits(
        model, replace(config, checkpoint_every=every), config.batch_size, free, ranks
    ):
        found.append(f"--checkpoint-every {every}")
    smaller = _smaller(model)
    while smaller is not None and not _fits(smaller, config, config.batch_size, free, ranks):
        smaller = _smaller(smaller)
    if smaller is not None:
        found.append(f"--size {smaller.height}x{smaller.width}")
    available = f" ({size(free)} are free)"
    if not found:
        return f"{available}; lower --batch-size to 1, and --size and --hidden."
    return f"{available}; {', or '.join(found)} would fit."


def _smaller(model: ForecasterConfig) -> ForecasterConfig | None:
    """The network for frames of half the height and width; None where those are too small."""
    height, width = (side // 2 // model.patch_size * model.patch_size for side in (model.height, model.width))
    if min(height, width) < MIN_SIDE:
        return None
    try:
        return replace(model, height=height, width=width)
    except UsageError:
        return None


def _fits(model: ForecasterConfig, config: TrainConfig, batch: int, free: int | None, ranks: Ranks) -> bool:
    return free is None or WORKSPACE * _needed(model, config, batch, ranks) <= free


def _needed(model: ForecasterConfig, config: TrainConfig, batch: int, ranks: Ranks) -> int:
    """Bytes that a step of one process keeps, which takes its share of the batch."""
    one, two = (training_memory(model, clips, config.checkpoint_every, config.members) for clips in (1, 2))
    return one + (math.ceil(batch / ranks.world) - 1) * (two - one)


def _frames_and_states(model: ForecasterConfig) -> int:
    """Bytes of one clip, and of the hidden states of all layers at all its steps."""
    height, width = model.grid
    of_step = sum(model.hidden) * height * width + model.read_channels * model.height * model.width
    return 4 * model.clip_frames * of_step


@functools.cache
def training_memory(
    model: ForecasterConfig, batch_size: int, checkpoint_every: int | None = None, members: int = 0
) -> int:
    """Bytes that a training step holds between its forward and its backward pass.

    They are the weights and their average, gradients, AdamW's two moments, and what autograd keeps, counted by running
    the network on torch's meta device; with as many members of each clip beside the forecast without noise.
    """
    with torch.device("meta"):
        network = EncoderForecaster(model)
        network.checkpoint_every(checkpoint_every)
        frames = torch.empty(batch_size, model.input_frames, model.read_channels, model.height, model.width)
        with Allocated() as allocated:
            ahead = (batch_size, model.horizon, model.known, model.height, model.width)
            noise = Noise([None] * (members + 1)) if members else None
            forecast = network(frames, future=torch.empty(ahead) if model.known else None, noise=noise)
            held: int = allocated.now
            del forecast
    return 5 * 4 * parameter_count(model) + held
