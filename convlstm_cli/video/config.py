"""Which videos are used, how their frames are scaled, and how they are split. Imports no OpenCV."""

import math
import os
import re
from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import check_choice, check_types, option, parse_duration, write_duration
from convlstm_cli.video.leaks.groups import AUTO, check_group_by

Fit = Literal["pad", "crop", "stretch"]
Colour = Literal["auto", "grey", "rgb"]
Every = float | Literal["auto", "frame"]
"""The step that a video is brought to: seconds, its own usual one, or one frame whatever its time."""

SHORTEST = 1e-5
"""Seconds of the shortest step that videos can be brought to."""
GAP = 1.5
"""Steps from one frame to the next above which there is a gap, unless --max-gap says otherwise."""


def parse_channels(_flag: str, text: str) -> tuple[int | str, ...]:
    """`0,ir` as (0, "ir"): positions from 0, and names."""
    parts = [part.strip() for part in text.split(",")]
    return tuple(int(part) if re.fullmatch(r"-?\d+", part) else part for part in parts)


def parse_guides(flag: str, text: str) -> tuple[int | str, ...]:
    """As `parse_channels`; nothing for an empty text."""
    return parse_channels(flag, text) if text.strip() else ()


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
    value_range: str | None = option(
        None,
        "Values LOW,HIGH of the source, such as 0,80, that become the least and the largest for the network; others "
        "are clipped for it. 0,255 for 8 bits, else what the source declares, else all values of the training videos "
        "but for a few that lie far apart.",
        flag="--range",
        metavar="LOW,HIGH",
    )
    log: bool = option(
        False, "Map values to the network by their logarithm, which spreads small ones: for rain, where few are large."
    )
    channels: tuple[int | str, ...] | None = option(
        None,
        "Channels of the source to use, by their positions from 0, such as 0,3, or their names: those of bands, or of "
        "arrays of one file (NetCDF variables, HDF5 datasets); all if not given.",
        parse=parse_channels,
        metavar="NAME,NAME,...",
    )
    input_only: tuple[int | str, ...] = option(
        (),
        "Channels, named as for --channels, that the network reads and that are not forecast, such as an orography. "
        "They count in no loss and no score; each has a range of its own.",
        parse=parse_guides,
        metavar="NAME,NAME,...",
    )
    known_future: tuple[int | str, ...] = option(
        (),
        "As --input-only, for channels that are known ahead, such as a wind forecast or the time of day: they are read "
        "for the frames to forecast too, which the input then must hold.",
        parse=parse_guides,
        metavar="NAME,NAME,...",
    )
    missing: float | None = option(
        None,
        "Value that means no data, such as 255 or -9999, if the source does not declare it. NaN and infinity do so in "
        "any case.",
    )
    group_by: str = option(
        AUTO,
        "Groups of videos that stay in one part of the split: a regular expression on the path below the folder, such "
        "as 'person\\d+' (its first capture group, or the whole match); auto: where names share a stem with running "
        "numbers; none.",
        metavar="PATTERN",
    )

    def __post_init__(self) -> None:
        check_types(self)
        # Absolute, so that a run goes on from any working directory.
        # With links as they are given, so that messages name what the user named.
        object.__setattr__(self, "folders", tuple(map(os.path.abspath, self.folders)))
        check_choice("--fit", self.fit, Fit)
        check_choice("--colour", self.colour, Colour)
        check_group_by(self.group_by)
        if self.stride < 1:
            raise UsageError(f"--stride is {self.stride}; it must be at least 1 frame.")
        check_max_gap(self.max_gap)
        if self.value_range is not None:
            parse_range("--range", self.value_range)
        check_missing(self.missing)
        if self.channels is not None:
            check_channels(self.channels)
        for name, flag in (("input_only", "--input-only"), ("known_future", "--known-future")):
            if getattr(self, name):
                check_channels(getattr(self, name), flag)
        named = [*(self.channels or ()), *self.input_only, *self.known_future]
        if twice := [each for each in named if named.count(each) > 1]:
            raise UsageError(f"{twice[0]} is named by two of --channels, --input-only and --known-future; choose one.")
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


def parse_range(flag: str, text: str) -> tuple[float, float]:
    """`0,80` as (0.0, 80.0). Raises UsageError that names `flag`."""
    try:
        low, high = map(float, text.split(","))
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    except ValueError:
        pass
    raise UsageError(f"{flag} is {text!r}; give the least value and a larger one, such as 0,80.")


def check_channels(channels: tuple[int | str, ...], flag: str = "--channels") -> None:
    """Raises UsageError that names `flag` for channels that name none, one twice, or one before the first."""
    wrong = any(each == "" if isinstance(each, str) else each < 0 for each in channels)
    if not channels or wrong or len(set(channels)) < len(channels):
        raise UsageError(
            f"{flag} is {','.join(map(str, channels))}; give different names, or positions from 0, such as 0,3."
        )


def check_missing(value: float | None) -> None:
    """Raises UsageError for a --missing that no pixel could have."""
    if value is not None and not math.isfinite(value):
        raise UsageError(f"--missing is {value}; NaN and infinity are missing in any case, so leave it out.")


def check_max_gap(value: float) -> None:
    """Raises UsageError for a --max-gap at which every step would be a gap."""
    if not 1 < value < math.inf:
        raise UsageError(f"--max-gap is {value}; give a number of usual steps above 1, such as {GAP}.")
