"""The settings of watching a video. Imports no torch and no OpenCV."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import CHANNELS_HELP, LOG_HELP, MISSING_HELP, PredictConfig, check_member_count
from convlstm_cli.settings import (
    DEVICE_HELP,
    PRECISION_HELP,
    Precision,
    check_choice,
    check_seed,
    check_types,
    option,
    parse_size,
)
from convlstm_cli.video.colormaps import COLORMAP_CHOICES, COLORMAP_HELP, DEFAULT_COLORMAP
from convlstm_cli.video.config import Pace, parse_channels

if TYPE_CHECKING:
    from convlstm_cli.runs.run import Run  # which imports torch, and --help does not

LONGEST = 128
"""Longest side in pixels at which the shipped weights watch, unless another size is asked for: a camera needs speed."""


@dataclass(frozen=True)
class WatchConfig:
    """The settings of watching a video: what raises an alarm, and at which size frames are forecast."""

    false_alarms: float = option(
        1.0,
        "Alarms an hour that normal frames may raise; frames near each other raise one alarm together. Where there are "
        "too few normal frames to know so rare a score, the rarest rate that they show.",
        metavar="PER_HOUR",
    )
    members: int = option(
        0,
        "Members that each frame is compared with, of a network that reads noise; 10 take three times as long. 0 "
        "compares it with the one forecast of a network without noise.",
    )
    seed: int = option(0, "Seed of the members.")
    size: str | None = option(
        None,
        "Frame size in pixels, N or HEIGHTxWIDTH, at which frames are forecast and compared: that of the training if "
        f"not given, for the shipped weights that of the source with sides of at most {LONGEST}.",
        metavar="N|HxW",
    )
    max_gap: float | None = option(
        None,
        "Longest step from one frame to the next, in usual steps; a longer one is a gap, after which frames have no "
        "score until there are enough to forecast from. That of the training if not given.",
    )
    channels: tuple[int | str, ...] | None = option(
        None,
        CHANNELS_HELP,
        parse=parse_channels,
        metavar="NAME,NAME,...",
    )
    missing: float | None = option(None, MISSING_HELP)
    value_range: str | None = option(
        None,
        "Values LOW,HIGH of the source, such as 0,80, that become the least and the largest for the network; as for "
        "predict if not given.",
        flag="--range",
        metavar="LOW,HIGH",
    )
    log: bool = option(False, LOG_HELP)
    colormap: str = option(DEFAULT_COLORMAP, COLORMAP_HELP, choices=COLORMAP_CHOICES)
    batch_size: int = option(16, "Frames that are forecast together; the scores do not depend on it.")
    device: str = option("auto", DEVICE_HELP)
    precision: Precision = option("auto", PRECISION_HELP)

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("--precision", self.precision, Precision)
        if not 0 < self.false_alarms < math.inf:
            raise UsageError(f"--false-alarms is {self.false_alarms:g}; give alarms an hour, a number above 0.")
        if self.members:
            check_member_count(self.members, "0")
        check_seed(self.seed)
        if self.batch_size < 1:
            raise UsageError(f"--batch-size is {self.batch_size}; it must be at least 1.")
        _ = self.working_size
        _ = self.reading  # which checks the options that it shares

    def pace_of(self, run: "Run") -> Pace:
        """How frames become steps of time, as in the training of a run."""
        return run.pace if self.max_gap is None else replace(run.pace, max_gap=self.max_gap)

    @property
    def working_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that `size` asks for. Raises UsageError."""
        return None if self.size is None else parse_size(self.size)

    @property
    def reading(self) -> PredictConfig:
        """The settings by which a prediction reads a video likewise. Raises UsageError that names the option."""
        return PredictConfig(
            size=self.size or "source",
            max_gap=self.max_gap,
            channels=self.channels,
            missing=self.missing,
            value_range=self.value_range,
            log=self.log,
            colormap=self.colormap,
        )
