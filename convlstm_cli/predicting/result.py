"""The forecast of one input, as `predict` returns it and as forecast.json records it."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import Networks
from convlstm_cli.forecasting.record import (
    Contents,
    ForecastRecord,
    GuardRecord,
    MembersRecord,
    Origin,
    SpreadRecord,
    TilesRecord,
)
from convlstm_cli.forecasting.tiling.plan import Tiling
from convlstm_cli.forecasting.times import ValidTimes
from convlstm_cli.scoring.known import KnownScores
from convlstm_cli.video.values import BYTES, ValueRange


@dataclass(frozen=True)
class Forecast:
    """The forecast of one input, on disk. Frame numbers count from 1."""

    source: Path
    folder: Path
    first_input_frame: int
    """Number, in the source, of the first frame that the network read."""
    last_input_frame: int
    """Number of the last one; `frame_000001.png` forecasts the frame after it."""
    frames: int
    """Frames that were forecast."""
    fps: float
    scores: KnownScores | None
    """Where the truth is known."""
    last_known_frame: int
    """Number, in the source, of the last frame that it is scored against; the last input frame if there is none."""
    step: float | None = None
    """Seconds from one frame to the next; None where they are unknown."""
    start: str | None = None
    """Date and time of the source's first frame in ISO 8601; None where it has none."""
    valid_times: ValidTimes | None = None
    """The time of each frame: ISO 8601 where the source has dates, else seconds from its first frame."""
    native_size: bool = False
    """Whether the network worked at the source's size."""
    spread: SpreadRecord | None = None
    """Where members made it."""
    members: MembersRecord | None = None
    """Where members were asked for."""
    guard: GuardRecord | None = None
    """What it was mixed of; None without the guard, or where the input is too short for its check."""
    values: ValueRange = BYTES
    """The range of values that was [0, 1] for the network."""
    kept: bool = False
    """Whether the finished forecast of an earlier call is reused, so that nothing was computed."""

    @classmethod
    def from_record(cls, record: ForecastRecord, source: Path, folder: Path) -> "Forecast":
        """The finished forecast of a source in a folder. Raises ValueError for scores that are damaged."""
        shared = {field.name for field in fields(cls)} & {field.name for field in fields(record)}
        values = {name: getattr(record, name) for name in shared}
        scores = None if record.scores is None else KnownScores.from_dict(record.scores)
        return cls(**values | {"source": source, "folder": folder, "scores": scores, "kept": True})

    def to_dict(self) -> dict[str, Any]:
        """As `convlstm predict --json` prints it."""
        return {
            **vars(self),
            "scores": None if self.scores is None else self.scores.to_dict(),
            "spread": None if self.spread is None else vars(self.spread),
            "members": None if self.members is None else vars(self.members),
            "guard": None if self.guard is None else vars(self.guard),
            "values": vars(self.values),
        }


def record_of(
    forecast: Forecast,
    networks: Networks,
    tilings: list[Tiling] | None,
    config: PredictConfig,
    origin: Origin,
    partial: Path,
) -> ForecastRecord:
    """The record of a forecast whose other files are all in the folder `partial`."""
    folders = tuple(str(run.folder) for run in networks.runs)
    return ForecastRecord(
        source=str(forecast.source),
        first_input_frame=forecast.first_input_frame,
        last_input_frame=forecast.last_input_frame,
        frames=forecast.frames,
        fps=forecast.fps,
        step=forecast.step,
        start=forecast.start,
        valid_times=forecast.valid_times,
        last_known_frame=forecast.last_known_frame,
        scores=None if forecast.scores is None else forecast.scores.to_dict(),
        native_size=forecast.native_size,
        spread=forecast.spread,
        guard=forecast.guard,
        values=forecast.values,
        run=folders[0] if len(networks) == 1 else None,
        runs=folders if len(networks) > 1 else None,
        members=forecast.members,
        tiles=None if tilings is None else tuple(TilesRecord(each.count, each.size) for each in tilings),
        settings=config,
        made_from=origin,
        holds=Contents.of(partial),
    )
