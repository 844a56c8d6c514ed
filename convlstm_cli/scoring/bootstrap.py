"""Bootstrap intervals over videos: of the skill against each baseline, and of the difference of two arms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.scores import Scores

RESAMPLES = 2000
"""Draws of a bootstrap."""
LEVEL = 0.95
"""Share of the draws that an interval holds."""
SEED = 0
"""Seed of the draws."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Skill:
    """1 - MSE / MSE of a baseline: 1 is perfect, 0 as good as the baseline, negative worse."""

    mean: float
    """Over all lead times."""
    by_lead_time: list[float]
    interval: Interval | None
    """Interval of `mean`; None where there are fewer than two videos."""
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
    """The model's skill against each baseline, with its interval.

    The interval is that of the percentile bootstrap at `LEVEL` (Efron & Tibshirani 1993): videos are drawn with
    replacement, as many as there are, their clips are pooled, and the skill is computed again. Whole videos are drawn
    because clips of one video are alike, which would make an interval from clips too short. All baselines share the
    draws. The percentiles of a skill are skills, so the interval stays below 1.

    Args:
        model: scores of the forecasts.
        baselines: scores of the same clips by the names of `BASELINES`.
        videos: name of the video of each clip.
        resamples: number of draws.
        seed: of the draws.
    """
    systems = {"": model, **baselines}
    number = {name: position for position, name in enumerate(dict.fromkeys(videos))}
    of_clip = np.array([number[name] for name in videos])
    # The sums over the clips of each video: (videos, systems, lead times). The numbers of clips cancel in the skill.
    sums = np.zeros((len(number), len(systems), len(model.mse)))
    for position, scores in enumerate(systems.values()):
        np.add.at(sums[:, position], of_clip, scores.weighted("mse"))
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
    """Interval of the relative difference in MSE of two arms over other videos, for these trainings.

    The percentile bootstrap at `LEVEL` draws videos within seeds; all seeds and both arms share the draws. The interval
    leaves out how trainings differ by chance; a comparison's significance test holds both.

    Args:
        arm, reference: MSE, (seeds, clips, lead times); entries of the same place belong together.
        videos: the name of each clip's video.

    Returns the ends of MSE / MSE of the reference - 1; None where there are fewer than two videos.
    """
    of_clip = np.unique(np.asarray(videos), return_inverse=True)[1]
    count = int(of_clip.max()) + 1
    if count < 2:
        return None
    # The sums over the clips of each video, seeds and lead times: (videos, 2). Numbers of clips cancel in the ratio.
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
    # Drawn values only, because interpolation between infinite ones gives NaN.
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)
