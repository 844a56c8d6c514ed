"""What a comparison finds, from where it is measured to where it is printed, drawn or written as summary.json.

The dataclasses stand below reporting/, which shows them, and comparing/, which fills them in.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from convlstm_cli.errors import RunError
from convlstm_cli.runs.comparisons import SUMMARY
from convlstm_cli.runs.record import damaged, parse, read_text
from convlstm_cli.scoring.anatomy_result import Anatomy
from convlstm_cli.scoring.scores import PooledScores

Interval = tuple[float, float]
"""Low and high end."""
Kind = Literal["trained", "recorded"]
"""Whether the comparison trained its runs, or compared existing ones."""
Outcome = Literal["better", "worse", "undetectable"]


@dataclass(frozen=True)
class VideoSummary:
    """A test video."""

    video: str
    """Its name in the library."""
    path: str
    clips: int
    """Test clips that are cut from it."""


@dataclass(frozen=True)
class EpochSummary:
    """One epoch of a training."""

    epoch: int
    """From 1."""
    steps: int
    """Optimiser steps so far."""
    train_loss: float | None
    """None where it was not finite."""
    validation_mse: float


@dataclass(frozen=True)
class RunSummary:
    """One training of an arm."""

    seed: int
    """Seed that it was trained with."""
    pair: int
    """Seed of the run of the reference that it is paired with."""
    folder: str
    """Relative to that of the comparison where it lies inside."""
    best_epoch: int | None
    """None where the training is not finished."""
    steps: int
    """Optimiser steps."""
    seconds: float | None
    """Training time; None where the training is not finished."""
    mse: float
    """MSE on the test clips, over all lead times."""
    history: list[EpochSummary]


@dataclass(frozen=True)
class ArmSummary:
    """One thing that is compared: a network and how it is trained, with the scores of all its runs."""

    name: str
    peephole: str
    hidden: list[int]
    """Channels of the layers."""
    differs: dict[str, Any]
    """This arm's values of the settings in which some arms differ."""
    parameters: int
    steps: int
    """Optimiser steps of its longest training."""
    step_seconds: float | None
    """Median time of an optimiser step; None for existing runs, whose steps are not timed."""
    memory: int
    """Expected memory of a training step in bytes."""
    runs: list[RunSummary]
    scores: PooledScores
    intervals: dict[str, list[Interval]] | None
    """95 % intervals over other seeds and videos, by metric and lead time; None with one seed and one video."""

    @property
    def seconds(self) -> float | None:
        """Training time of all its runs; None where one is not finished."""
        seconds = [run.seconds for run in self.runs]
        return None if None in seconds else sum(each for each in seconds if each is not None)


@dataclass(frozen=True)
class LeadDifference:
    """An arm against the reference at one lead time, or over all of them."""

    mean: float
    """MSE of the arm less MSE of the reference, both pooled over seeds and clips."""
    relative: float | None
    """`mean` over the MSE of the reference: -0.02 is 2 % less. None where that is 0 and `mean` is not."""
    interval: Interval | None
    """95 % interval of `mean` on videos as hard as these: `relative_interval` times the MSE of the reference. Not
    adjusted for other arms and lead times. None with one seed and one video."""
    relative_interval: Interval | None
    p: float
    """Two-sided p value. With one seed it is about other videos only, with one video about other seeds only."""
    p_holm: float
    """`p` adjusted (Holm 1979) for the arms, and at single lead times for all lead times of all arms."""
    outcome: Outcome
    """Settled only where `p_holm` is below 0.05, the interval excludes 0, and there are two seeds or more."""


@dataclass(frozen=True)
class Difference(LeadDifference):
    """An arm against the reference over all lead times, and at each."""

    effect_size: float | None
    """Cohen's d_z (1988; Lakens 2013): the mean of the seeds' differences over their standard deviation, which says how
    often one more pair of trainings would come out the same way on these videos. None where that deviation is 0 or
    there is one seed. Over seeds, since over cells it would measure how much the videos' difficulties differ."""
    seeds_better: int
    """Seeds with less MSE than the reference over all clips."""
    seeds: int
    videos: int
    seeds_needed: int | None
    """About how many seeds would settle a difference of this size with a power of 80 %, were the true variances as
    estimated; None if no number would with these videos, or with one seed, whose variance nobody knows."""
    by_lead_time: list[LeadDifference]
    interval_of_these_trainings: tuple[float | None, float | None] | None = None
    """Interval of `relative` over other videos, with the same trainings (`bootstrap.difference_interval`); an end is
    None where it is infinite. None with a single video."""
    detectable: float | None = None
    """The relative difference that would have been settled with a power of 80 %; None with one seed. For the verdict:
    summary.json does not hold it."""

    def to_dict(self) -> dict[str, Any]:
        """As summary.json holds it, but with tuples for lists."""
        content = asdict(self)
        del content["detectable"]
        return content


@dataclass(frozen=True)
class ComparisonSummary:
    """All that a comparison found: what summary.json holds, report.html draws and the terminal shows."""

    folder: str
    """Folder of the comparison."""
    kind: Kind
    match: str | None
    """What the arms were matched in; None for existing runs."""
    settings: dict[str, dict[str, Any]]
    """As JSON holds them: `data`, `model`, `training` and `compare`."""
    reference: str
    """Name of the arm that the others are compared with."""
    seeds: list[int]
    input_frames: int
    horizon: int
    """Lead times."""
    height: int
    width: int
    channels: int
    videos: list[VideoSummary]
    clips: int
    """Test clips."""
    arms: list[ArmSummary]
    """The reference first."""
    baselines: dict[str, PooledScores]
    differences: dict[str, Difference]
    """Every other arm against the reference."""
    verdict: list[str]
    """In sentences, first a headline for each of `differences`."""
    anatomy: Anatomy
    warnings: list[str]
    """Reasons to doubt the result, in sentences."""
    definitions: dict[str, str]
    """What each metric is."""
    compute: dict[str, str]
    """`device` and `precision` of the scoring."""
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As summary.json holds it. Raises ValueError for a number that JSON has no form for."""
        content = {
            **asdict(self),
            "arms": [{**asdict(arm), "scores": arm.scores.to_dict()} for arm in self.arms],
            "baselines": {name: scores.to_dict() for name, scores in self.baselines.items()},
            "differences": {name: difference.to_dict() for name, difference in self.differences.items()},
        }
        text = json.dumps(content, allow_nan=False)
        as_read: dict[str, Any] = json.loads(text)  # with lists for tuples
        return as_read


def read_summary(folder: Path) -> ComparisonSummary | None:
    """What the summary.json of a comparison's folder holds; None where there is none.

    Raises RunError where it cannot be read or is not what `ComparisonSummary.to_dict` gives.
    """
    path = folder / SUMMARY
    remedy = "convlstm compare --resume writes it anew"
    try:
        content = parse(read_text(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}); {remedy}.") from error
    with damaged(path, remedy):
        return msgspec.convert(content, ComparisonSummary)
