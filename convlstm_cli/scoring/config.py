"""Settings of an evaluation. Imports no torch."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import check_member_count
from convlstm_cli.settings import (
    DEVICE_HELP,
    PRECISION_HELP,
    Precision,
    check_choice,
    check_seed,
    check_types,
    option,
    parse_names,
    parse_numbers,
    parse_size,
)
from convlstm_cli.video.colormaps import COLORMAP_CHOICES, COLORMAP_HELP, DEFAULT_COLORMAP, check_colormap

if TYPE_CHECKING:
    from convlstm_cli.video.values import ValueRange  # which imports numpy, and --help does not


@dataclass(frozen=True)
class EvaluateConfig:
    """Which clips a run is scored on, and by which metrics."""

    frames: int | None = option(None, "Lead times to score; as many as the run was trained to forecast if not given.")
    stride: int | None = option(
        None, "Frames between the starts of clips; --frames if not given, so that each frame is scored once."
    )
    size: str | None = option(
        None,
        "Frame size in pixels, N or HEIGHTxWIDTH, at which the shipped weights (pretrained) are scored; 64 if not "
        "given. Other runs are scored at the size of their training.",
    )
    thresholds: tuple[float, ...] = option(
        (),
        "Values with commas, such as 0.1,1,5, in the unit of the source; of 8-bit pictures without a unit in (0, 1], "
        "such as 0.2,0.5: adds CSI, POD and FAR of reaching each value, by which radar forecasts are scored.",
        parse=parse_numbers,
    )
    guard: bool = option(
        True,
        "Score also the guarded forecast, which predict writes: mixed with the simple forecasts of the table by how "
        "well each of them forecasts the last input frames from those before. Members are guarded "
        "too, and get errors that they made there.",
    )
    members: int = option(
        0,
        "Members to draw of each clip from a network that reads noise, and to score beside baselines: CRPS, spread "
        "over error, ranks, and Brier scores at --thresholds. 0 draws none; the "
        "forecasts of several runs are members too.",
    )
    seed: int = option(0, "Seed of the members.")
    baseline: tuple[str, ...] = option(
        (),
        "Further baselines with members, with commas, that need a package or time: steps (pysteps).",
        parse=parse_names,
    )
    colormap: str = option(DEFAULT_COLORMAP, COLORMAP_HELP, choices=COLORMAP_CHOICES)
    batch_size: int = option(8, "Clips that are forecast together; the scores do not depend on it.")
    device: str = option("auto", DEVICE_HELP)
    precision: Precision = option("auto", PRECISION_HELP)

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("--precision", self.precision, Precision)
        check_colormap(self.colormap)
        object.__setattr__(self, "thresholds", tuple(dict.fromkeys(self.thresholds)))
        for threshold in self.thresholds:
            if not math.isfinite(threshold):
                raise UsageError(f"--thresholds has {threshold}; give finite values, such as 0.1,1,5.")
        _ = self.working_size  # is checked here, before anything is computed
        counts = {"--frames": self.frames, "--stride": self.stride, "--batch-size": self.batch_size}
        for flag, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"{flag} is {value}; it must be at least 1.")
        self._check_members()

    def _check_members(self) -> None:
        """Raises UsageError for members that cannot be drawn."""
        if self.members:
            check_member_count(self.members, "0")
        check_seed(self.seed)
        if self.baseline and not self.members:
            raise UsageError("--baseline names baselines with members; give --members 20 as well, or leave it out.")

    def check_thresholds(self, values: "ValueRange") -> None:
        """Raises UsageError for a threshold that values of this range never reach, or always."""
        for threshold in self.thresholds:
            values.check_inside("--thresholds", threshold)

    @property
    def working_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that `size` asks for. Raises UsageError."""
        return None if self.size is None else parse_size(self.size)
