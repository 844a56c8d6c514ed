"""Skill and differences, with an interval that says how far other videos might have moved them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.scoring.metrics import Scores, finite

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0

Interval = tuple[float, float]


@dataclass(frozen=True)
class Skill:
    """1 - MSE / MSE of a baseline: 1 is perfect, 0 as good as the baseline, negative worse."""

    mean: float
    """Over all lead times."""
    by_lead_time: list[float]
    interval: Interval | None
    """Of `mean`; None where there are fewer than two videos."""
    interval_by_lead_time: list[Interval] | None

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it (an infinite skill is null)."""
        by_lead = self.interval_by_lead_time
        return {
            "mean": finite(self.mean),
            "interval": None if self.interval is None else [finite(end) for end in self.interval],
            "by_lead_time": [finite(value) for value in self.by_lead_time],
            "interval_by_lead_time": None if by_lead is None else [[finite(e) for e in ends] for ends in by_lead],
        }


def skills(
    model: Scores,
    baselines: Mapping[str, Scores],
    videos: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Skill]:
    """The model's skill against each baseline; `videos` names the video of each clip.

    The interval is the percentile bootstrap's, at `LEVEL`: as many videos as there are are drawn with replacement,
    all their clips pooled, and the skill computed anew. Whole videos are drawn because clips of one are alike, which
    would make an interval from clips too short. The same draws serve every baseline.
    """
    systems = {"": model, **baselines}
    number = {name: position for position, name in enumerate(dict.fromkeys(videos))}
    of_clip = np.array([number[name] for name in videos])
    # The sum of each video's clips: (videos, systems, lead times). Counts of clips cancel in the skill.
    sums = np.zeros((len(number), len(systems), len(model.mse)))
    for position, scores in enumerate(systems.values()):
        np.add.at(sums[:, position], of_clip, scores.per_clip("mse"))
    found = _skill(sums.sum(axis=0))
    drawn = None
    if len(number) > 1:
        random = np.random.default_rng(seed)
        equal = np.full(len(number), 1 / len(number))
        drawn = np.stack(
            [_skill(np.tensordot(random.multinomial(len(number), equal), sums, axes=1)) for _ in range(resamples)]
        )  # (resamples, baselines, 1 + lead times)
    return {
        name: Skill(
            float(found[position, 0]),
            found[position, 1:].tolist(),
            None if drawn is None else _interval(drawn[:, position, 0]),
            None if drawn is None else [_interval(values) for values in drawn[:, position, 1:].T],
        )
        for position, name in enumerate(baselines)
    }


def difference_interval(
    arm: NDArray[np.float64],
    reference: NDArray[np.float64],
    videos: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval | None:
    """How far other videos might have moved the relative difference in MSE of two arms, with these very trainings.

    The percentile bootstrap's interval, at `LEVEL`, over videos within seeds: the same draws of videos for each seed
    and for both arms, which share them. The luck of trainings is not in it; in that of `significance.py` is both.

    Args:
        arm, reference: MSE, (seeds, clips, lead times); entries of the same place belong together.
        videos: the name of each clip's video.

    Returns the ends of MSE / MSE of the reference - 1; None where there are fewer than two videos.
    """
    of_clip = np.unique(np.asarray(videos), return_inverse=True)[1]
    count = int(of_clip.max()) + 1
    if count < 2:
        return None
    # The sum of each video's clips, over seeds and lead times: (videos, 2). Counts of clips cancel in the ratio.
    sums = np.zeros((count, 2))
    np.add.at(sums, of_clip, np.stack((arm.sum(axis=(0, 2)), reference.sum(axis=(0, 2))), axis=1))
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) @ sums
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = draws[:, 0] / draws[:, 1] - 1
    return _interval(np.where(draws[:, 1] > 0, relative, np.where(draws[:, 0] == 0, 0.0, np.inf)))


def _skill(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1 + baselines, lead times) to (baselines, 1 + lead times), the first over all lead times."""
    sums = np.concatenate((sums.sum(axis=1, keepdims=True), sums), axis=1)
    model, reference = sums[:1], sums[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        skill: NDArray[np.float64] = 1 - model / reference
    return np.where(reference > 0, skill, np.where(model == 0, 0.0, -np.inf))


def _interval(values: NDArray[np.float64]) -> Interval:
    # Values that were drawn, since between infinite ones there is nothing.
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)
