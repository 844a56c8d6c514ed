"""forecast.json: the record of a forecast, which makes its folder a forecast."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.files import replacing
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.times import ValidTimes
from convlstm_cli.video.values import ValueRange

RECORD = "forecast.json"
"""Name of the file."""
ZARR = (".zarray", ".zattrs", ".zgroup", ".zmetadata")
"""Files that are hidden by their names and yet part of a forecast."""
LEFT_OUT = ("run", "runs", "members", "tiles")
"""Entries that the file lacks where they do not apply."""


@dataclass(frozen=True)
class SourceState:
    """A source, as it was when it was read."""

    path: str
    fingerprint: str
    """As `video.cache.fingerprint_of` computes it."""


@dataclass(frozen=True)
class Origin:
    """All that a forecast depends on; equal for two forecasts only if they are the same."""

    input: SourceState
    networks: tuple[str, ...]
    """Digests of the networks, in order."""
    settings: dict[str, Any]
    """The options of `PredictConfig` that change a forecast, as JSON holds them."""
    versions: dict[str, str]
    """Versions of the libraries that compute and write."""


@dataclass(frozen=True)
class Contents:
    """How much a forecast's folder holds, without its record and hidden files; those of zarr 2 count."""

    files: int
    bytes: int

    @classmethod
    def of(cls, folder: Path) -> "Contents":
        """Counts the files of a folder and their bytes."""
        sizes = [
            path.stat().st_size
            for path in folder.rglob("*")
            if path.name != RECORD and not (path.name.startswith(".") and path.name not in ZARR) and path.is_file()
        ]
        return cls(len(sizes), sum(sizes))


@dataclass(frozen=True)
class TilesRecord:
    """The tiles of one network."""

    count: int
    size: tuple[int, ...]
    """Height and width of a tile in pixels."""


@dataclass(frozen=True)
class MembersRecord:
    """The members that a forecast is the mean of."""

    count: int
    seed: int | None
    """None where each run makes one member, without noise."""
    written: bool
    """Whether each of them is written, and not only what is made of them."""
    quantiles: tuple[float, ...]
    """Those that are written."""
    exceed: tuple[float, ...]
    """Values, in the unit of the source, for which the share of members that reach them is written."""
    past_errors: float | None
    """Share of the errors that they made on the input frames with which they are dressed
    (`scoring/guarded_members.py`); None without that check."""


@dataclass(frozen=True)
class SpreadRecord:
    """How far the members of an ensemble lie apart, and what its pictures show."""

    full_scale: float
    """Standard deviation that the brightest colour stands for."""
    colour_map: str
    by_lead_time: tuple[float, ...]
    """Root mean square of the spread over each frame."""


@dataclass(frozen=True)
class GuardRecord:
    """What the guard mixed a forecast of, by a check on the input frames."""

    origins: tuple[int, ...]
    """Numbers of input frames from which the rest of them was forecast, for the check."""
    weights: dict[str, tuple[float, ...]]
    """Weights of each candidate by name, `model` first, by lead time; the last ones hold for all later lead times."""

    def shares(self, frames: int) -> dict[str, float]:
        """The mean weight of each candidate over a forecast of this many frames; they sum to 1."""
        return {
            name: sum(each[min(lead, len(each) - 1)] for lead in range(frames)) / frames
            for name, each in self.weights.items()
        }


@dataclass(frozen=True, kw_only=True)
class ForecastRecord:
    """What forecast.json holds: neither its own path nor a date, so that equal forecasts are equal byte for byte."""

    source: str
    first_input_frame: int
    last_input_frame: int
    frames: int
    fps: float
    step: float | None
    """Seconds from one frame to the next; None where they are unknown."""
    start: str | None
    """Date and time of the source's first frame in ISO 8601; None where it has none."""
    valid_times: ValidTimes | None
    """The time of each frame: ISO 8601 where the source has dates, else seconds from its first frame."""
    last_known_frame: int
    """Number, in the source, of the last frame that a forecast is scored against; the last input frame if there is
    none."""
    scores: dict[str, Any] | None
    """As `KnownScores.to_dict` makes them."""
    native_size: bool
    spread: SpreadRecord | None
    guard: GuardRecord | None
    """None without the guard, or where the input is too short for its check."""
    values: ValueRange
    """The range of values that was [0, 1] for the network."""
    run: str | None = None
    """Folder of the run; None for an ensemble of runs."""
    runs: tuple[str, ...] | None = None
    """Folders of an ensemble's runs."""
    members: MembersRecord | None = None
    """None where no members were asked for."""
    tiles: tuple[TilesRecord, ...] | None = None
    """Tiles of each network; None where frames are brought to the trained size."""
    settings: PredictConfig
    made_from: Origin
    holds: Contents

    def to_dict(self) -> dict[str, Any]:
        """The entries of forecast.json."""
        entries = {**asdict(self), "values": self.values.to_dict()}
        return {name: value for name, value in entries.items() if value is not None or name not in LEFT_OUT}

    def write(self, folder: Path) -> None:
        """Writes forecast.json into the folder of the forecast, whose other files are all there."""
        with replacing(folder / RECORD) as path, path.open("w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=2)  # streamed: as one text it would grow with the horizon
            file.write("\n")
