"""Inspects a video, a folder of videos, a run, a comparison or the shipped weights, and plans a training."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convlstm_cli.cli.inspected import DataFacts, RunFacts, TrainingPlan, VideoFacts, WeightsFacts
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
from convlstm_cli.video.missing import StandingApart
from convlstm_cli.video.rates import differing_rates
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.search import Note, aggregated, find_videos
from convlstm_cli.video.timeline import timeline_of
from convlstm_cli.video.values import known
from convlstm_cli.weights.pretrained import NAMES, card, model_of


class _ValueSummary:
    """The range, the type and the missing values of a video, gathered frame by frame."""

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
        summary_of_values = _ValueSummary(video.missing if missing is None else missing)
        for frame in video:
            frames += 1
            summary_of_values.add(frame)
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
            dtype=summary_of_values.dtype,
            unit=video.unit,
            values=summary_of_values.ends,
            missing=summary_of_values.share_missing,
            timeline=timeline,
            times=clock,
            start=None if video.start is None else video.start.isoformat(),
            notes=(*_found_notes(path, found.notes), *video.notes, *summary_of_values.notes(), *timeline.notes),
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
