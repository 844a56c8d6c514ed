"""What `convlstm inspect` can find, and what training would take: facts for tables and for JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.runs.comparisons import UnfinishedComparison
from convlstm_cli.scoring.comparison_result import ComparisonSummary
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.leaks.overlaps import Overlap
from convlstm_cli.video.library import Problem, Video
from convlstm_cli.video.timeline import Timeline
from convlstm_cli.video.values import ValueRange
from convlstm_cli.weights import NAME


@dataclass(frozen=True)
class VideoFacts:
    """One video, decoded whole."""

    path: Path
    kind: str
    decoder: str | None
    """What decodes its pictures; None where nothing has to be decoded."""
    decoder_reason: str | None
    """Why it is not the usual decoder, a clause whose subject is the video; None where it is."""
    frames: int
    declared_frames: int | None
    """Frames that the file declares; None where it does not."""
    height: int
    width: int
    fps: float | None
    """Frames per second that the file declares, or else those of its times."""
    colour: str
    """`grey`, `rgb`, or such as `4 channels`."""
    channel_names: tuple[str, ...]
    """Names of the channels; none where the source names none."""
    dtype: str
    """Type of its pixels."""
    unit: str
    """Unit of their values; empty where it declares none."""
    values: tuple[float, float] | None
    """Least and largest value that it holds; None for 8-bit pictures, and where there is none."""
    missing: float
    """Share of its values that are missing."""
    timeline: Timeline
    times: tuple[float, ...] | None
    """Seconds from the first frame to each; None where the source has no times."""
    start: str | None
    """Date and time of the first frame in ISO 8601; None where the source has none."""
    notes: tuple[str, ...]
    """What its files were taken for, where that is not plain, how it is read, and where it is cut and why."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON: `segments` are stretches of steps without a gap."""
        facts = {**asdict(self), "path": str(self.path)}
        del facts["timeline"]
        segments = [{"start": start, "stop": stop, "frames": stop - start} for start, stop in self.timeline.pieces]
        return {**facts, "step": self.timeline.step, "segments": segments}


@dataclass(frozen=True)
class DataFacts:
    """A folder of videos: what can be used, the clips of each subset, and what cannot be used."""

    videos: tuple[Video, ...]
    frame_shape: tuple[int, int, int]
    """Channels, height and width of the frames that the network sees."""
    split: str
    """How the videos are split into training, validation and test."""
    clips: dict[str, int]
    """Number of clips of each subset."""
    problems: tuple[Problem, ...]
    groups: dict[str, list[str]]
    """Names of the videos of each group that stays in one part of the split."""
    overlaps: tuple[Overlap, ...]
    """Stretches of videos that show the same moments."""
    kept_together: tuple[str, ...]
    """What stays in one part of the split and why, in words."""
    notes: tuple[str, ...]
    """Which videos may be cut off, what files and images were taken for, where that is not plain, and what the range of
    values leaves out."""
    values: ValueRange
    """The range of values that becomes [0, 1] for the network."""
    guides: tuple[Guide, ...]
    """Channels that are read and not forecast."""
    rates: str | None
    """Which videos have which frame rate, where they differ."""

    @property
    def frames(self) -> int:
        """Steps of all usable videos."""
        return sum(video.frames for video in self.videos)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "videos": [{**asdict(video), "path": str(video.path)} for video in self.videos],
            "frames": self.frames,
            "frame_shape": list(self.frame_shape),
            "split": self.split,
            "clips": self.clips,
            "values": self.values.to_dict(),
            "guides": [guide.to_dict() for guide in self.guides],
            "rates": self.rates,
            "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems],
            "groups": self.groups,
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class RunFacts:
    """A run: its network, its training so far and its test scores."""

    folder: Path
    model: ForecasterConfig
    parameters: int
    history: tuple[dict[str, Any], ...]
    """The rows of metrics.jsonl, one for each epoch."""
    test: dict[str, Any] | None
    """What test.json holds; None while the training is unfinished."""
    split: dict[str, Any]
    """Which frames of which videos are for training, validation and test, as config.json holds it."""
    values: ValueRange | None
    """The range of values that becomes [0, 1] for the network."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "run": str(self.folder),
            "model": asdict(self.model),
            "parameters": self.parameters,
            "epochs": len(self.history),
            "last_epoch": self.history[-1] if self.history else None,
            "test": self.test,
            "split": self.split,
            "values": None if self.values is None else self.values.to_dict(),
        }


@dataclass(frozen=True)
class WeightsFacts:
    """The shipped weights."""

    cards: dict[str, dict[str, Any]]
    """What is on record of those for grey and for colour frames."""
    parameters: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        weights = {name: {"parameters": self.parameters[name], **card} for name, card in self.cards.items()}
        return {"run": NAME, "weights": weights}


@dataclass(frozen=True)
class TrainingPlan:
    """What training would do."""

    data: DataFacts
    batch_shape: tuple[int, int, int, int, int]
    """Clips, frames of a clip, channels (with those that are read and not forecast), height, width."""
    parameters: int
    expected_memory: int
    """Bytes that a training step takes, beside the libraries."""
    start: str
    """Which weights training starts from, and why, in a few words."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the facts of the data beside those of the training."""
        return {
            **self.data.to_dict(),
            "batch_shape": list(self.batch_shape),
            "parameters": self.parameters,
            "expected_memory": self.expected_memory,
            "start": self.start,
        }


Found = VideoFacts | DataFacts | RunFacts | WeightsFacts | UnfinishedComparison | ComparisonSummary
"""What `convlstm inspect` can find."""
