"""The settings of a training. Imports no torch."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import (
    DEVICE_HELP,
    MAX_COUNT,
    Precision,
    check_choice,
    check_most,
    check_types,
    option,
    parse_duration,
    parse_names,
)
from convlstm_cli.training.augmentation import AUGMENTATIONS
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.training.schedule import SCHEDULES
from convlstm_cli.video.colormaps import COLORMAP_CHOICES, COLORMAP_HELP, DEFAULT_COLORMAP, check_colormap
from convlstm_cli.weights import NAME

MAX_PER_EPOCH = 100_000
"""Largest number of steps of an epoch and of clips of a batch: the order of all clips of an epoch is drawn at once."""

MAX_MEMBERS = 100
"""Most members of a clip in training."""
AUTO_BATCH = 0
"""The `batch_size` that stands for as many clips as fit into memory."""
AUTO_INIT, FRESH = "auto", "none"
"""The `init` that stands for the shipped weights where they fit, and the one of drawn weights."""


def parse_batch(flag: str, text: str) -> int:
    """`auto`, or a number of clips. Raises UsageError that names `flag`."""
    if text.strip().lower() == "auto":
        return AUTO_BATCH
    if not (text.strip().isdecimal() and int(text) >= 1):
        raise UsageError(f"{flag} is {text!r}; give auto, or a number of clips such as 8.")
    return int(text)


def parse_weights(flag: str, text: str) -> tuple[tuple[float, float], ...]:
    """`2:2,30:30` as ((2.0, 2.0), (30.0, 30.0)): rising values, each with its weight. Raises UsageError with `flag`."""
    try:
        pairs = [(float(value), float(weight)) for value, weight in (part.split(":") for part in text.split(","))]
    except ValueError:
        pairs = []
    values, weights = zip(*pairs, strict=True) if pairs else ((), ())
    rising = all(one < other for one, other in itertools.pairwise(values))  # False for NaN
    if not pairs or not rising or not all(0 <= weight < math.inf for weight in weights) or math.isinf(sum(values)):
        raise UsageError(
            f"{flag} is {text!r}; give rising values, each with a weight that is not negative, such as "
            "2:2,5:5,10:10,30:30."
        )
    return tuple(pairs)


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
        "Passes over the training clips (see --epoch-steps); 60 if neither --max-time nor --max-steps is given, else "
        "no limit.",
    )
    epoch_steps: int = option(
        30, "Least number of optimiser steps in an epoch: a small training set is passed over several times."
    )
    max_time: float | None = option(
        None,
        "Time to train, such as 90s, 10m or 1h30m; the learning rate falls over this time.",
        parse=parse_duration,
    )
    max_steps: int | None = option(None, "Number of optimiser steps to train for.")
    batch_size: int = option(
        8,
        "Clips per optimiser step, over all processes; auto is as many as fit into memory, up to 8 on a CPU and 32 on "
        "an accelerator.",
        alias="--batch",
        parse=parse_batch,
    )
    init: str = option(
        AUTO_INIT,
        "Weights to start from: pretrained (the shipped ones), none (drawn by --seed), a run folder, or a .safetensors "
        "file. Those of grey frames are adapted to colour, and the reverse. auto is pretrained where it fits the "
        "network, else none; in a comparison it is none.",
        metavar="auto|pretrained|none|RUN|FILE",
    )
    optimizer: str = option("muon", f"{_described(OPTIMISERS)}.", choices=OPTIMISERS)
    learning_rate: float = option(
        3e-3,
        "Learning rate at its peak, after the warm-up. With muon it is that of AdamW's part, and 6.7 times it that of "
        "the kernels.",
    )
    schedule: str = option(
        "cosine", f"The learning rate after the warm-up: {_described(SCHEDULES)}.", choices=SCHEDULES
    )
    warmup: float = option(0.05, "Share of the training during which the learning rate rises to its peak.")
    weight_decay: float = option(
        1e-4, "Weight decay of the convolution kernels, with muon of those that AdamW trains; other weights have none."
    )
    average: float = option(
        0.99,
        "Decay per step of the moving average of the weights, which is what is validated and saved; 0 turns averaging "
        "off.",
    )
    clip_norm: float = option(
        1.0, "Largest norm of the gradient, to which larger gradients are scaled down; 0 turns clipping off."
    )
    loss: str = option(
        "sharp", f"What is minimised, averaged over pixels and lead times: {_described(LOSSES)}.", choices=LOSSES
    )
    loss_weights: str | None = option(
        None,
        "Weights of pixels for the balanced losses, by their true value: pixels of at least VALUE, in the unit of the "
        "source (of 8-bit pictures without a unit in [0, 1]), count WEIGHT times, those below the first once. "
        "2:2,5:5,10:10,30:30 are those of Shi et al. 2017 for rain in mm/h.",
        metavar="VALUE:WEIGHT,...",
    )
    members: int = option(
        0,
        "Members of each clip that training compares with the truth, so that the run forecasts many futures (predict "
        "--members): 2 or more, each of which takes its time and memory. The loss is then their almost fair CRPS (Lang "
        "et al. 2024), and --loss that of the one forecast without noise. 0 trains that alone.",
    )
    scheduled_sampling: float = option(
        0.0,
        "Probability of feeding an autoregressive forecaster the true frame instead of its own (Bengio et al. 2015); "
        "falls to 0 over the first half of the training.",
    )
    augment: tuple[str, ...] = option(
        (),
        "Random changes of training clips, where the data allows them; any of these, with commas: "
        f"{_described(AUGMENTATIONS)}.",
        parse=parse_names,
    )
    patience: int = option(15, "Stop after this many epochs without a better validation MSE; 0 never stops early.")
    seed: int = option(
        0, "Seed of the initial weights, of the order of the clips and of all other random draws in training."
    )
    colormap: str = option(DEFAULT_COLORMAP, COLORMAP_HELP, choices=COLORMAP_CHOICES)
    device: str = option("auto", DEVICE_HELP)
    precision: Precision = option(
        "auto",
        "Number format of convolutions, gates and h, in optimiser steps and forecasts; cell state, weights and "
        "optimiser stay fp32. auto is fp32, but bf16 for the optimiser steps on processors with hardware for that "
        "(AMX).",
    )
    checkpoint_every: int | None = option(
        None,
        "Keep the gates of only this many time steps, and compute the others again in the backward pass: takes less "
        "memory for long sequences, and about a third more time.",
    )
    save_every: float = option(
        300.0,
        "Time between checkpoints within an epoch, such as 5m; every epoch also ends with a checkpoint.",
        parse=parse_duration,
    )

    def __post_init__(self) -> None:
        check_types(self)
        if self.init not in ("", AUTO_INIT, FRESH, NAME):
            # Absolute, so that a run goes on from any working directory.
            object.__setattr__(self, "init", str(Path(self.init).absolute()))
        check_choice("--loss", self.loss, LOSSES)
        self._check_loss_weights()
        check_choice("--optimizer", self.optimizer, OPTIMISERS)
        check_choice("--schedule", self.schedule, SCHEDULES)
        check_choice("--precision", self.precision, Precision)
        check_colormap(self.colormap)
        if self.members == 1 or not 0 <= self.members <= MAX_MEMBERS:
            raise UsageError(f"--members is {self.members}; give 0, or 2 to {MAX_MEMBERS} members of each clip.")
        if not self.init:
            raise UsageError("--init is empty; give pretrained, none, a run folder or a .safetensors file.")
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

    def _check_loss_weights(self) -> None:
        weighs = [name for name, loss in LOSSES.items() if loss.weighs]
        if self.loss in weighs and self.loss_weights is None:
            raise UsageError(f"--loss {self.loss} needs --loss-weights, such as 2:2,5:5,10:10,30:30 for rain in mm/h.")
        if self.loss not in weighs and self.loss_weights is not None:
            raise UsageError(
                f"--loss-weights and --loss {self.loss} do not go together; choose --loss {' or '.join(weighs)}."
            )
        if self.loss_weights is not None:
            parse_weights("--loss-weights", self.loss_weights)

    @property
    def epoch_limit(self) -> int | None:
        """`epochs`, with its default resolved; None is no limit."""
        if self.epochs is None and self.max_time is None and self.max_steps is None:
            return 60
        return self.epochs
