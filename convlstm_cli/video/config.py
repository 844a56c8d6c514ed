"""Which videos are used, how their frames are scaled, and how they are split. Imports no OpenCV."""

import os
from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import check_choice, option
from convlstm_cli.video.leaks.groups import AUTO, check_group_by

Fit = Literal["pad", "crop", "stretch"]
Colour = Literal["auto", "grey", "rgb"]


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
        if self.split_seed < 0:
            raise UsageError(f"--split-seed is {self.split_seed}; it must be at least 0.")
        for flag, share in (("--validation", self.validation), ("--test", self.test)):
            if not 0 < share < 1:
                raise UsageError(f"{flag} is {share}; give a share between 0 and 1, such as 0.15.")
        if self.validation + self.test >= 1:
            raise UsageError("--validation and --test together leave nothing to train on; lower them below 1.")
