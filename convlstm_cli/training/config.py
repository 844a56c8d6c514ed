"""The settings of a training. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import MAX_COUNT, Precision, check_choice, check_most, option, parse_duration, parse_names
from convlstm_cli.training.augmentation import AUGMENTATIONS
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.training.schedule import SCHEDULES

MAX_PER_EPOCH = 100_000
"""Largest number of steps of an epoch and of clips of a batch: the order of all clips of an epoch is drawn at once."""

AUTO_BATCH = 0
"""The `batch_size` that stands for as many clips as fit into memory."""


def parse_batch(flag: str, text: str) -> int:
    """`auto`, or a number of clips. Raises UsageError that names `flag`."""
    if text.strip().lower() == "auto":
        return AUTO_BATCH
    if not (text.strip().isdecimal() and int(text) >= 1):
        raise UsageError(f"{flag} is {text!r}; give auto, or a number of clips such as 8.")
    return int(text)


def _described(registry: Mapping[str, Any]) -> str:
    """The entries of a registry with what their `doc` says, for a line of help."""
    return ", ".join(f"{name} ({entry.doc})" for name, entry in registry.items())


LIMITS = ("epochs", "max_time", "max_steps")
"""Options that limit a training; the limit that is reached first ends it."""


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training. Raises UsageError, naming the option, for values that make none."""

    epochs: int | None = option(
        None,
        "Passes over the training clips, see --epoch-steps; 60 unless --max-time or --max-steps limits the training.",
    )
    epoch_steps: int = option(30, "Least optimiser steps of an epoch: fewer clips are passed over several times.")
    max_time: float | None = option(
        None,
        "Time to train, such as 90s, 10m or 1h30m; the learning rate falls to its end with it.",
        parse=parse_duration,
    )
    max_steps: int | None = option(None, "Optimiser steps.")
    batch_size: int = option(
        8,
        "Clips per optimiser step, of all processes together; auto is as many as fit into memory, up to 8 on a CPU and "
        "32 on an accelerator.",
        alias="--batch",
        parse=parse_batch,
    )
    optimizer: str = option("adamw", f"{_described(OPTIMISERS)}.", choices=OPTIMISERS)
    learning_rate: float = option(3e-3, "Highest learning rate.")
    schedule: str = option(
        "cosine", f"The learning rate after the warm-up: {_described(SCHEDULES)}.", choices=SCHEDULES
    )
    warmup: float = option(0.05, "Share of the training over which the learning rate rises.")
    weight_decay: float = option(1e-4, "Weight decay, on convolution kernels only.")
    average: float = option(
        0.99,
        "Decay per step of the moving average of the weights, which is validated and saved; 0 takes them as they are.",
    )
    clip_norm: float = option(1.0, "Gradients are scaled down to this norm; 0 leaves them.")
    loss: str = option(
        "bce", f"What is minimised, averaged over pixels and lead times: {_described(LOSSES)}.", choices=LOSSES
    )
    scheduled_sampling: float = option(
        0.0,
        "Probability that an autoregressive forecaster is fed the true frame in place of its own (Bengio et al. 2015); "
        "falls from this to 0 over the first half of the training.",
    )
    augment: tuple[str, ...] = option(
        (),
        "Random changes of training clips, where the data allows them; any of these, with commas: "
        f"{_described(AUGMENTATIONS)}.",
        parse=parse_names,
    )
    patience: int = option(15, "Stop after this many epochs without a better validation MSE; 0 never stops.")
    seed: int = option(0, "Seed of the initial values, the order of the clips and all that is drawn in training.")
    device: str = option("auto", "auto (CUDA, MPS or XPU if there is one, else cpu), or a torch device such as cuda:1.")
    precision: Precision = option(
        "auto",
        "fp32, bf16 or fp16, of convolutions, gates and h; cell state, weights and optimiser stay fp32. auto is fp32.",
    )
    checkpoint_every: int | None = option(
        None,
        "Keep the gates of only so many time steps and compute the others again in the backward: "
        "less memory for long sequences, for about a third more time.",
    )
    save_every: float = option(
        300.0,
        "Time between checkpoints inside an epoch; there is one after every epoch too.",
        parse=parse_duration,
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "augment", tuple(self.augment))  # JSON gives a list
        check_choice("--loss", self.loss, LOSSES)
        check_choice("--optimizer", self.optimizer, OPTIMISERS)
        check_choice("--schedule", self.schedule, SCHEDULES)
        check_choice("--precision", self.precision, Precision)
        for name in self.augment:
            check_choice("--augment", name, AUGMENTATIONS)
        if not 0 <= self.scheduled_sampling <= 1:
            raise UsageError(f"--scheduled-sampling is {self.scheduled_sampling}; give a probability from 0 to 1.")
        least = {
            "--epochs": (self.epochs, 1),
            "--epoch-steps": (self.epoch_steps, 1),
            "--max-steps": (self.max_steps, 1),
            "--batch-size": (self.batch_size, AUTO_BATCH),
            "--patience": (self.patience, 0),
            "--seed": (self.seed, 0),
            "--checkpoint-every": (self.checkpoint_every, 1),
        }
        for flag, (value, minimum) in least.items():
            if value is not None and value < minimum:
                raise UsageError(f"{flag} is {value}; it must be at least {minimum}.")
            if value is not None:
                check_most(flag, value, MAX_PER_EPOCH if flag in ("--epoch-steps", "--batch-size") else MAX_COUNT)
        positive = {
            "--max-time": self.max_time,
            "--learning-rate": self.learning_rate,
            "--save-every": self.save_every,
        }
        for flag, number in positive.items():
            if number is not None and not (number > 0 and math.isfinite(number)):
                raise UsageError(f"{flag} is {number}; it must be positive.")
        if not 0 <= self.warmup < 1:
            raise UsageError(f"--warmup is {self.warmup}; give a share from 0 to below 1.")
        if not 0 <= self.average < 1:
            raise UsageError(f"--average is {self.average}; give a decay from 0 to below 1, such as 0.99.")
        for flag, number in (("--weight-decay", self.weight_decay), ("--clip-norm", self.clip_norm)):
            if not number >= 0:
                raise UsageError(f"{flag} is {number}; it must not be negative.")

    @property
    def epoch_limit(self) -> int | None:
        """`epochs`, with its default resolved; None is no limit."""
        if self.epochs is None and self.max_time is None and self.max_steps is None:
            return 60
        return self.epochs
