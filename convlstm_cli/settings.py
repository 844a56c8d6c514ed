"""The options of training as frozen dataclasses, checked where they are made. Imports no torch and no OpenCV.

Every field is an option of the command line of the same name, and is written whole into a run's config.json.
"""

import math
import os
import re
from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import check_choice, check_most, option

Fit = Literal["pad", "crop", "stretch"]
Colour = Literal["auto", "grey", "rgb"]
Loss = Literal["bce", "mse", "mae", "mae+mse", "huber"]
Optimizer = Literal["adamw", "rmsprop"]
Schedule = Literal["cosine", "constant"]
Augmentation = Literal["hflip", "vflip", "rot90", "reverse"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Match = Literal["steps", "time", "params"]
Format = Literal["png", "webm", "mp4", "gif", "lossless", "npy"]
Program = Literal["torch", "onnx"]

MAX_COUNT = 2**31 - 1
"""Of seeds, which are multiplied when they are used, and of steps and epochs."""
MAX_PER_EPOCH = 100_000
"""Of steps of an epoch and of clips of a batch: the order of all clips of an epoch is drawn at once."""

MIN_TILE = 16
"""Smallest side of a tile in pixels."""


def parse_duration(flag: str, text: str) -> float:
    """Seconds of a duration such as 90s, 10m, 1.5h or 1h30m; a bare number is seconds.

    Raises UsageError that names `flag`.
    """
    units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
    compact = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        compact += "s"
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", compact):
        raise UsageError(f"{flag} is {text!r}; give a duration such as 90s, 10m or 1h30m.")
    seconds = sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", compact))
    if seconds <= 0:
        raise UsageError(f"{flag} is {text!r}; it must be longer than nothing.")
    return seconds


def parse_tile(flag: str, text: str) -> int | Literal["auto"]:
    """`auto`, or a number of pixels. Raises UsageError that names `flag`."""
    if text.strip().lower() == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give auto, or the side of a tile in pixels such as 256.") from None


AUTO_BATCH = 0
"""`batch_size` that stands for as many clips as fit."""


def parse_batch(flag: str, text: str) -> int:
    """`auto`, or a number of clips. Raises UsageError that names `flag`."""
    if text.strip().lower() == "auto":
        return AUTO_BATCH
    if not (text.strip().isdecimal() and int(text) >= 1):
        raise UsageError(f"{flag} is {text!r}; give auto, or a number of clips such as 8.")
    return int(text)


def parse_names(_flag: str, text: str) -> tuple[str, ...]:
    """`png,webm` as ("png", "webm")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class DataConfig:
    """Which videos, brought to which frames, split how."""

    folders: tuple[str, ...]
    """Folders or files of videos."""
    height: int = 64
    """Height in pixels that frames are brought to."""
    width: int = 64
    """Width in pixels that frames are brought to."""
    fit: Fit = option("pad", "Keep the aspect by padding with black or by cropping the centre; or stretch.")
    colour: Colour = option("auto", "grey, rgb, or auto: grey if every video is.")
    stride: int = option(1, "Frames between the starts of training clips.")
    validation: float = option(0.15, "Share of the videos that choose the best epoch.")
    test: float = option(0.15, "Share of the videos that are never trained on nor chosen by.")
    split_seed: int = option(0, "Seed of the split, apart from --seed, so that runs of other seeds share their test.")

    def __post_init__(self) -> None:
        # Absolute, so that a run goes on from any working directory.
        # With links as they are given, so that messages name what the user named.
        object.__setattr__(self, "folders", tuple(map(os.path.abspath, self.folders)))
        check_choice("--fit", self.fit, Fit)
        check_choice("--colour", self.colour, Colour)
        if self.stride < 1:
            raise UsageError(f"--stride is {self.stride}; it must be at least 1 frame.")
        if self.split_seed < 0:
            raise UsageError(f"--split-seed is {self.split_seed}; it must be at least 0.")
        for flag, share in (("--validation", self.validation), ("--test", self.test)):
            if not 0 < share < 1:
                raise UsageError(f"{flag} is {share}; give a share between 0 and 1, such as 0.15.")
        if self.validation + self.test >= 1:
            raise UsageError("--validation and --test together leave nothing to train on; lower them below 1.")


LIMITS = ("epochs", "max_time", "max_steps")
"""Options that limit a training; whichever is reached first ends it."""


@dataclass(frozen=True)
class TrainConfig:
    """How a forecaster is trained."""

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
    optimizer: Optimizer = option("adamw", "AdamW, or RMSProp as in the ConvLSTM paper.")
    learning_rate: float = option(3e-3, "Highest learning rate.")
    schedule: Schedule = option(
        "cosine", "The learning rate after the warm-up: falls as half a cosine to a hundredth, or stays."
    )
    warmup: float = option(0.05, "Share of the training over which the learning rate rises.")
    weight_decay: float = option(1e-4, "Weight decay, on convolution kernels only.")
    average: float = option(
        0.99,
        "Decay per step of the moving average of the weights, which is validated and saved; 0 takes them as they are.",
    )
    clip_norm: float = option(1.0, "Gradients are scaled down to this norm; 0 leaves them.")
    loss: Loss = option(
        "bce", "What is minimised, averaged over pixels and lead times; bce is the cross-entropy of the ConvLSTM paper."
    )
    scheduled_sampling: float = option(
        0.0,
        "Probability that an autoregressive forecaster is fed the true frame in place of its own (Bengio et al. 2015); "
        "falls from this to 0 over the first half of the training.",
    )
    augment: tuple[str, ...] = option(
        (),
        "Random changes of training clips, where the data allows them: any of hflip, vflip, rot90 (quarter turns) and "
        "reverse (in time), with commas.",
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
        check_choice("--loss", self.loss, Loss)
        check_choice("--optimizer", self.optimizer, Optimizer)
        check_choice("--schedule", self.schedule, Schedule)
        check_choice("--precision", self.precision, Precision)
        for name in self.augment:
            check_choice("--augment", name, Augmentation)
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


def parse_thresholds(flag: str, text: str) -> tuple[float, ...]:
    """`0.2,0.5` as (0.2, 0.5). Raises UsageError that names `flag`."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give values in (0, 1] with commas, such as 0.2,0.5.") from None


@dataclass(frozen=True)
class EvaluateConfig:
    """On which clips a run is scored, and by what."""

    frames: int | None = option(None, "Lead times to score, any number; as many as in training if not given.")
    stride: int | None = option(
        None, "Frames between the starts of clips; as --frames if not given, so that each frame is scored once."
    )
    thresholds: tuple[float, ...] = option(
        (),
        "Values in (0, 1], with commas, such as 0.2,0.5: adds CSI, POD and FAR of reaching each, as for radar.",
        parse=parse_thresholds,
    )
    batch_size: int = option(8, "Clips that are forecast at a time; the scores do not depend on it.")
    device: str = option("auto", "As in training.")
    precision: Precision = option("auto", "As in training.")

    def __post_init__(self) -> None:
        check_choice("--precision", self.precision, Precision)
        object.__setattr__(self, "thresholds", tuple(dict.fromkeys(self.thresholds)))
        for threshold in self.thresholds:
            if not 0 < threshold <= 1:
                raise UsageError(f"--thresholds has {threshold}; give values above 0 and up to 1, such as 0.2,0.5.")
        counts = {"--frames": self.frames, "--stride": self.stride, "--batch-size": self.batch_size}
        for flag, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"{flag} is {value}; it must be at least 1.")


@dataclass(frozen=True)
class CompareConfig:
    """What is compared, how often, and what the arms are matched in."""

    arms: tuple[str, ...] = option(
        ("none", "channel", "full"),
        "What to compare, with commas, the first being what the others are compared with: kinds of peephole (none, "
        "channel, full), or run folders, whose recorded networks and trainings are trained anew.",
        parse=parse_names,
    )
    seeds: int = option(3, "Trainings of each arm, with --seed and the seeds that follow it.")
    match: Match = option(
        "steps",
        "What the arms have equal: optimiser steps; time (as many steps as fit into the time of the slowest arm's); or "
        "params (steps, and the arms with fewer parameters are widened).",
    )
    jobs: int | None = option(
        None, "Trainings at a time, each in a process with its share of the cores; 1, or one for each of --devices."
    )
    devices: tuple[str, ...] = option(
        (), "Devices to spread the trainings over, such as cuda:0,cuda:1; --device if not given.", parse=parse_names
    )

    def __post_init__(self) -> None:
        for name in ("arms", "devices"):  # JSON gives lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_choice("--match", self.match, Match)
        if len(set(self.arms)) < 2:
            raise UsageError(f"--arms is {','.join(self.arms)!r}; a comparison needs at least two different arms.")
        if not 1 <= self.seeds <= 1000:
            raise UsageError(f"--seeds is {self.seeds}; give 1 to 1000.")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs is {self.jobs}; it must be at least 1.")

    def at_once(self, trainings: int) -> int:
        """How many of so many trainings go on at a time."""
        return max(1, min(self.jobs or len(self.devices), trainings))


@dataclass(frozen=True)
class PredictConfig:
    """What is forecast of a video, and how it is written."""

    frames: int | None = option(None, "Frames to forecast, any number; as many as in training if not given.")
    at: int | None = option(
        None, "Number of the last frame to read, counting from 1; the end of the video if not given."
    )
    formats: tuple[str, ...] = option(
        ("png", "webm"),
        "What to write: any of png, webm, mp4, gif, lossless and npy, with commas.",
        flag="--format",
        parse=parse_names,
    )
    size: Literal["source", "model"] = option(
        "source", "Size of the written frames: the source's, or the one that the model works at."
    )
    native_size: bool = option(
        False,
        "Forecast at the source's own size instead of the trained one, whatever --fit was trained with. "
        "Not for --peephole full, which holds for one size.",
    )
    tile: int | Literal["auto"] = option(
        "auto",
        "Side in pixels of the tiles that --native-size computes in; auto is the whole frame if memory allows, "
        "else the largest tile for which it does.",
        parse=parse_tile,
    )
    tile_overlap: int | None = option(
        None, "Pixels over which neighbouring tiles are blended; worked out from the network if not given."
    )
    fps: float | None = option(
        None, "Frames per second of written videos; the source's if not given, or 10 where it has none."
    )
    device: str = option("auto", "As in training.")
    precision: Precision = option("auto", "As in training.")

    def __post_init__(self) -> None:
        check_choice("--precision", self.precision, Precision)
        check_choice("--size", self.size, Literal["source", "model"])
        for name in self.formats:
            check_choice("--format", name, Format)
        if not self.formats:
            raise UsageError("--format names no format; give at least one, such as png.")
        for flag, value in (("--frames", self.frames), ("--at", self.at)):
            if value is not None and value < 1:
                raise UsageError(f"{flag} is {value}; it must be at least 1 (frames count from 1).")
        for flag, given in (("--tile", self.tile != "auto"), ("--tile-overlap", self.tile_overlap is not None)):
            if given and not self.native_size:
                raise UsageError(f"{flag} goes with --native-size; add that, or leave {flag} out.")
        if self.tile != "auto" and self.tile < MIN_TILE:
            raise UsageError(f"--tile is {self.tile}; give auto or at least {MIN_TILE} pixels.")
        if self.tile_overlap is not None and self.tile_overlap < 0:
            raise UsageError(f"--tile-overlap is {self.tile_overlap}; it must not be negative.")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"--fps is {self.fps}; give frames per second above 0 and up to 1000.")


@dataclass(frozen=True)
class ExportConfig:
    """What a network is exported as."""

    formats: tuple[str, ...] = option(
        ("torch", "onnx"),
        "What to write: torch (torch.export, needs PyTorch to run) and onnx (needs ONNX Runtime), with commas.",
        flag="--format",
        parse=parse_names,
    )

    def __post_init__(self) -> None:
        for name in self.formats:
            check_choice("--format", name, Program)
        if not self.formats:
            raise UsageError("--format names no format; give torch, onnx or both.")
