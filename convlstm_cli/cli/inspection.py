"""What a video, a folder of videos, a run or a comparison holds, and what training would take."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.runs import comparisons
from convlstm_cli.runs.comparisons import UnfinishedComparison
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import ComparisonSummary, read_summary
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.initial import start
from convlstm_cli.training.memory import training_memory, with_batch_size
from convlstm_cli.video.colour import Frame, colour_name, is_grey
from convlstm_cli.video.config import Pace
from convlstm_cli.video.data import SUBSETS, VideoData
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.leaks.overlaps import Overlap
from convlstm_cli.video.library import Problem, Video
from convlstm_cli.video.missing import StandingApart
from convlstm_cli.video.rates import differing_rates
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.search import Note, aggregated, find_videos
from convlstm_cli.video.timeline import Timeline, timeline_of
from convlstm_cli.video.values import ValueRange, known
from convlstm_cli.weights import NAME
from convlstm_cli.weights.pretrained import NAMES, card, model_of


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


class _Held:
    """What the values of a video are, frame by frame."""

    def __init__(self, missing: float | None) -> None:
        self._missing, self._apart = missing, StandingApart()
        self._pixels = self._known = 0
        self._ends = math.inf, -math.inf
        self.dtype = ""

    def add(self, frame: Frame) -> None:
        self.dtype = frame.dtype.name
        if self._missing is None:
            self._apart.add(frame)
        if frame.dtype != np.uint8 or self._missing is not None:
            values = known(frame, self._missing)
            self._pixels, self._known = self._pixels + frame.size, self._known + values.size
            if values.size:
                self._ends = min(self._ends[0], float(values.min())), max(self._ends[1], float(values.max()))

    @property
    def ends(self) -> tuple[float, float] | None:
        return self._ends if self._known else None

    @property
    def share_missing(self) -> float:
        return 1 - self._known / self._pixels if self._pixels else 0.0

    def notes(self) -> list[str]:
        note = self._apart.note()
        return [] if note is None else [note]


def inspect_video(
    path: Path,
    pace: Pace = Pace(),  # noqa: B008 - frozen
    missing: float | None = None,
    channels: tuple[int | str, ...] | None = None,
) -> VideoFacts:
    """Decodes a video whole, and cuts it as training at this pace does, with `missing` as the value for no data.

    Raises InputError if it cannot be used.
    """
    frames, grey, count = 0, True, 1
    found = find_videos([path])
    times: list[float] = []
    with open_video(path) as video:
        video.select(channels)
        names = video.facts().channel_names
        held = _Held(video.missing if missing is None else missing)
        for frame in video:
            frames += 1
            held.add(frame)
            count = frame.shape[2] if frame.shape[2] != 1 else 3
            grey = grey and is_grey(frame, video.grey_tolerance)
            if video.time is not None:
                times.append(video.time)
        clock = tuple(times) if len(times) == frames else None
        timeline = timeline_of(frames, clock, video.numbers, pace=pace)
        return VideoFacts(
            path=path,
            kind=video.kind,
            decoder=video.decoder,
            decoder_reason=video.decoder_reason,
            frames=frames,
            declared_frames=video.declared_frames,
            height=video.height,
            width=video.width,
            fps=video.fps or (1 / timeline.step if timeline.step else None),
            colour=colour_name(1 if grey else count),
            channel_names=names,
            dtype=held.dtype,
            unit=video.unit,
            values=held.ends,
            missing=held.share_missing,
            timeline=timeline,
            times=clock,
            start=None if video.start is None else video.start.isoformat(),
            notes=(*_found_notes(path, found.notes), *video.notes, *held.notes(), *timeline.notes),
        )


def _found_notes(path: Path, notes: Sequence[Note]) -> list[str]:
    """Notes about a path; those about others name them."""
    return [note.text for note in notes if note.path == path] + aggregated([n for n in notes if n.path != path])


def inspect_data(data: VideoData) -> DataFacts:
    """The facts about prepared videos."""
    return DataFacts(
        videos=tuple(data.library.videos),
        frame_shape=(data.channels, data.config.height, data.config.width),
        split=data.split.how,
        clips={subset: len(data.clips(subset)) for subset in SUBSETS},
        problems=tuple(data.library.problems),
        groups={} if data.split.group_by is None else data.groups.members(),
        overlaps=data.overlaps,
        kept_together=tuple(data.kept_together()),
        notes=(*data.library.remarks(), *data.value_notes()),
        values=data.values,
        guides=data.guides,
        rates=differing_rates(data.library.videos, data.config.pace),
    )


def inspect_run(run: Run) -> RunFacts:
    """The facts about a run. Raises RunError where a file of it is damaged."""
    return RunFacts(
        folder=run.folder,
        model=run.model_config,
        parameters=parameter_count(run.model_config),
        history=tuple(run.read_metrics()),
        test=run.read_test(),
        split=run.config["data"]["split"],
        values=run.values,
    )


def inspect_weights() -> WeightsFacts:
    """The facts about the shipped weights."""
    return WeightsFacts(
        cards={name: card(name) for name in NAMES},
        parameters={name: parameter_count(model_of(name)) for name in NAMES},
    )


def inspect_comparison(folder: Path) -> ComparisonSummary | UnfinishedComparison:
    """What a comparison found; of one that is not finished, how many of its runs have begun and ended.

    Raises RunError where a file of it is damaged.
    """
    state, summary = comparisons.unfinished(folder), read_summary(folder)
    if summary is not None and summary.seeds == comparisons.read_record(folder).get("seeds"):
        return summary
    return state  # there is no summary yet, or seeds were added since, which are not all trained


def plan(
    data: VideoData, model: ForecasterConfig, config: TrainConfig, compute: Compute, ranks: Ranks = ALONE
) -> TrainingPlan:
    """What training would do: the data, the shapes, the parameters and the memory."""
    config = with_batch_size(config, [model], len(data.clips("train")), compute, ranks)
    return TrainingPlan(
        data=inspect_data(data),
        batch_shape=(config.batch_size, model.clip_frames, model.channels + model.inputs, model.height, model.width),
        parameters=parameter_count(model),
        expected_memory=training_memory(model, config.batch_size, config.checkpoint_every, config.members),
        start=start(config.init, model).text,
    )
