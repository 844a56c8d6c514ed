"""What a run's JSON files hold, as dataclasses that refuse what no run holds. Imports no torch and no OpenCV."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from convlstm_cli.runs.record import as_object, build
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.leaks.groups import is_pattern
from convlstm_cli.video.values import BYTES, ValueRange

MODEL, COPYING = "model", "persistence"
"""Names of the forecasts that every evaluation scores."""


@dataclass(frozen=True)
class PartRecord:
    """A part of a video in a split."""

    video: str
    start: int
    """Position of its first frame, from 0."""
    stop: int
    """Position after its last."""
    source_start: int
    """Position of its first frame among all frames that the source decodes to, from 0; `start` counts those that are
    steps of the video's timeline."""
    source_stop: int
    """Position after its last there."""
    path: str
    frames: int
    """Steps of the whole video's timeline."""
    digest: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= self.frames:
            raise ValueError(f"frames {self.start} to {self.stop} of {self.frames} are no part of {self.video!r}")
        if self.source_start < self.start or self.source_stop - self.source_start < self.stop - self.start:
            raise ValueError(f"frames {self.source_start} to {self.source_stop} of the source are fewer than the steps")


@dataclass(frozen=True)
class SplitRecord:
    """The train/validation/test split."""

    how: str
    train: tuple[PartRecord, ...]
    validation: tuple[PartRecord, ...]
    test: tuple[PartRecord, ...]
    group_by: str | None = None
    """The regular expression by which groups of videos were kept together; None where there were none."""

    def __post_init__(self) -> None:
        if self.group_by is not None and not is_pattern(self.group_by):
            raise ValueError(f"group_by is {self.group_by!r}")


@dataclass(frozen=True)
class ProblemRecord:
    """A video that could not be used."""

    path: str
    reason: str


@dataclass(frozen=True)
class DataRecord:
    """What config.json and comparison.json say of the videos: `VideoData.to_dict`."""

    settings: DataConfig
    channels: int
    step: float | None
    """Seconds from one frame to the next in training; None where they are unknown."""
    split: SplitRecord
    problems: tuple[ProblemRecord, ...]
    values: ValueRange = BYTES
    """The range of values that becomes [0, 1]."""
    missing: float | None = None
    """The value that stands for no data in the videos that were trained on; None without one that is common."""
    guides: tuple[Guide, ...] = ()
    """Channels that are read and not forecast."""

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}")

    def check_clips(self, clip_frames: int) -> None:
        """Raises ValueError where a part is too short for a clip, or there is none."""
        for parts in (self.split.train, self.split.validation, self.split.test):
            if not parts:
                raise ValueError("a part of the split is empty")
            for part in parts:
                if part.stop - part.start < clip_frames:
                    raise ValueError(f"the part of {part.video!r} is shorter than the {clip_frames} frames of a clip")


@dataclass(frozen=True)
class ScoresRecord:
    """Scores of forecasts: `Scores.to_dict`. None stands where there is no number, such as the PSNR of no error."""

    clips: int
    by_lead_time: dict[str, list[float | None]]
    """By metric."""
    mean: dict[str, float | None]
    """By metric, over all lead times."""
    unit: str = ""
    """Unit of the values; empty for values in [0, 1] and for those whose unit is not known."""

    def __post_init__(self) -> None:
        for metric in ("mse", "psnr", "ssim"):
            if metric not in self.by_lead_time or metric not in self.mean:
                raise ValueError(f"there is no {metric}")
            if len(self.by_lead_time[metric]) != self.lead_times or not self.lead_times:
                raise ValueError(f"the {metric} has {len(self.by_lead_time[metric])} lead times")
            if metric != "psnr" and self.mean[metric] is None:
                raise ValueError(f"the {metric} is missing")
        if any(value is not None and value < 0 for value in (*self.by_lead_time["mse"], self.mean["mse"])):
            raise ValueError("the mse is negative")

    @property
    def lead_times(self) -> int:
        """Number of lead times."""
        return len(self.by_lead_time["mse"])

    @property
    def mse(self) -> float:
        """Mean squared error over all lead times."""
        value = self.mean["mse"]
        assert value is not None
        return value


@dataclass(frozen=True)
class EvaluationRecord:
    """Scores of the network's forecasts beside those of baselines: `Evaluation.to_dict`."""

    skill: float | None
    """1 - MSE / MSE of copying; None where that is 0."""
    scores: dict[str, ScoresRecord]
    """By forecast: the network's, copying's, and those of other baselines."""

    def __post_init__(self) -> None:
        for name in (MODEL, COPYING):
            if name not in self.scores:
                raise ValueError(f"there is no {name}")
        if len({scores.lead_times for scores in self.scores.values()}) > 1:
            raise ValueError("the lead times of its scores differ")

    @property
    def model(self) -> ScoresRecord:
        """Scores of the network's forecasts."""
        return self.scores[MODEL]

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The record of what `to_json` gives. Raises ValueError for anything else."""
        return build(cls, _gathered(content))

    def to_json(self) -> dict[str, Any]:
        """As files hold it: the scores of each forecast beside the skill."""
        return _spread(asdict(self))


@dataclass(frozen=True)
class ResultRecord(EvaluationRecord):
    """What test.json holds: scores of the best weights on the test videos."""

    best_epoch: int
    stopped: str
    """Why training ended."""
    seconds: float
    """Wall-clock time of training and validation."""

    def to_json(self) -> dict[str, Any]:
        """As test.json holds it."""
        own = {"best_epoch": self.best_epoch, "stopped": self.stopped, "seconds": self.seconds}
        return {**own, **super().to_json()}


@dataclass(frozen=True)
class EpochRecord:
    """A line of metrics.jsonl: one epoch of training."""

    epoch: int
    """Number of the epoch, from 1."""
    steps: int
    """Optimiser steps so far."""
    seconds: float
    """Wall-clock time so far."""
    learning_rate: float
    """Learning rate of the last step; with muon that of AdamW's part."""
    train_loss: float | None
    """Mean over the epoch's batches that were learned from."""
    validation: EvaluationRecord
    skipped_steps: int = 0
    """Batches that were not learned from, because the loss or its gradient was not finite."""

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The record of what `to_json` gives. Raises ValueError for anything else."""
        row = as_object(content)
        if "validation" in row:
            row = {**row, "validation": _gathered(row["validation"])}
        return build(cls, row)

    def to_json(self) -> dict[str, Any]:
        """As metrics.jsonl holds it."""
        row = asdict(self)
        validation = _spread(row.pop("validation"))
        return {**row, "validation": validation}


def _gathered(content: Any) -> dict[str, Any]:
    """The entries of an evaluation, with the scores of all forecasts under one name."""
    entries = as_object(content)
    scores = {name: value for name, value in entries.items() if isinstance(value, dict)}
    return {**{name: value for name, value in entries.items() if name not in scores}, "scores": scores}


def _spread(content: dict[str, Any]) -> dict[str, Any]:
    """What `_gathered` gathers."""
    scores = content.pop("scores")
    return {**content, **scores}
