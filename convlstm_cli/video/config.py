"""Which videos are used, how their frames are scaled, and how they are split. Imports no OpenCV."""

import math
import os
from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import check_choice, option, parse_duration, write_duration
from convlstm_cli.video.leaks.groups import AUTO, check_group_by

Fit = Literal["pad", "crop", "stretch"]
Colour = Literal["auto", "grey", "rgb"]
Every = float | Literal["auto", "frame"]
"""The step that a video is brought to: seconds, its own usual one, or one frame whatever its time."""

SHORTEST = 1e-5
"""Seconds of the shortest step that videos can be brought to."""
GAP = 1.5
"""Steps from one frame to the next above which there is a gap, unless --max-gap says otherwise."""


@dataclass(frozen=True)
class DataConfig:
    """Which videos are used, how their frames are scaled, and how they are split."""

    folders: tuple[str, ...]
    """Folders or files of videos."""
    height: int = 64
    """Height in pixels that frames are scaled to."""
    width: int = 64
    """Width in pixels that frames are scaled to."""
    fit: Fit = option(
        "pad",
        "How frames are scaled to --size: pad with black and crop around the centre keep the aspect ratio, stretch "
        "does not.",
    )
    colour: Colour = option(
        "auto", "Channels of the frames: grey (one), rgb (three), or auto: grey if every video is grey."
    )
    stride: int = option(1, "Frames between the starts of successive training clips.")
    every: str = option(
        "auto",
        "Time from one frame of a clip to the next: a duration such as 0.1s or 10m brings every video to it, frame "
        "takes every frame as one step whatever its time, auto takes each video's own usual step and refuses videos "
        "of different rates.",
        metavar="auto|frame|DURATION",
    )
    max_gap: float = option(
        GAP, "Longest step from one frame to the next, in usual steps, that a clip may hold; a longer one is a gap."
    )
    validation: float = option(0.15, "Share of the videos held out to choose the best epoch.")
    test: float = option(
        0.15, "Share of the videos held out for the test: neither trained on nor used to choose the best epoch."
    )
    split_seed: int = option(
        0,
        "Seed of the train/validation/test split; apart from --seed, so that runs with different seeds are tested on "
        "the same videos.",
    )
    group_by: str = option(
        AUTO,
        "Groups of videos that stay in one part of the split: a regular expression on the path below the folder, such "
        "as 'person\\d+' (its first capture group, or the whole match); auto: where names share a stem with running "
        "numbers; none.",
        metavar="PATTERN",
    )

    def __post_init__(self) -> None:
        # Absolute, so that a run goes on from any working directory.
        # With links as they are given, so that messages name what the user named.
        object.__setattr__(self, "folders", tuple(map(os.path.abspath, self.folders)))
        check_choice("--fit", self.fit, Fit)
        check_choice("--colour", self.colour, Colour)
        check_group_by(self.group_by)
        if self.stride < 1:
            raise UsageError(f"--stride is {self.stride}; it must be at least 1 frame.")
        check_max_gap(self.max_gap)
        object.__setattr__(self, "every", self.pace.every_option)  # in one spelling, so that a run goes on with it
        if self.split_seed < 0:
            raise UsageError(f"--split-seed is {self.split_seed}; it must be at least 0.")
        for flag, share in (("--validation", self.validation), ("--test", self.test)):
            if not 0 < share < 1:
                raise UsageError(f"{flag} is {share}; give a share between 0 and 1, such as 0.15.")
        if self.validation + self.test >= 1:
            raise UsageError("--validation and --test together leave nothing to train on; lower them below 1.")

    @property
    def pace(self) -> "Pace":
        """How frames become steps of time."""
        return Pace(parse_every("--every", self.every), self.max_gap)


@dataclass(frozen=True)
class Pace:
    """How the frames of videos become steps of time."""

    every: Every = "auto"
    max_gap: float = GAP
    """Longest step that is no gap, in usual steps."""

    @property
    def every_option(self) -> str:
        """The step as --every takes it."""
        return self.every if isinstance(self.every, str) else write_duration(self.every)


def parse_every(flag: str, text: str) -> Every:
    """`auto`, `frame`, or the seconds of a duration. Raises UsageError that names `flag`."""
    match text.strip().lower():
        case "auto":
            return "auto"
        case "frame":
            return "frame"
        case duration:
            seconds = parse_duration(flag, duration)
            if seconds < SHORTEST:
                raise UsageError(f"{flag} is {text!r}; it must be at least {write_duration(SHORTEST)}.")
            return seconds


def check_max_gap(value: float) -> None:
    """Raises UsageError for a --max-gap at which every step would be a gap."""
    if not 1 < value < math.inf:
        raise UsageError(f"--max-gap is {value}; give a number of usual steps above 1, such as {GAP}.")
