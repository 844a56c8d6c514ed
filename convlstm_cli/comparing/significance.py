"""Whether one arm of a comparison is better than another, beyond the luck of its trainings and of the test videos.

The claim is about other seeds and other videos like these, so both are random factors, crossed: a seed's luck is shared
by all videos, and an arm may suit a video with every seed. Clips of a video are never taken as independent.

What is tested is the logarithm of the ratio of the two arms' pooled MSE. It changes its sign when the arms change
places, and a difference of 2 % in easy and hard videos alike has no spread in it. Its variance is the sum of two
jackknife variances, leaving out one seed and one video at a time (two-way clustered, Cameron, Gelbach & Miller 2011,
without taking the part of the cells off: never negative, at most twice too large; delete-one as MacKinnon, Nielsen &
Webb 2023 advise where clusters differ). The ratio to its root is held against the Behrens-Fisher distribution, and the
interval is made of the same. The degrees of freedom are those of Bell & McCaffrey (2002) for the shares that the
videos (and seeds) have in the error: with one video that has ten times the error of five others they are 1.1, not 5.

This trusts luck to be roughly normal, which fewer than 6 seeds or videos cannot do without: whole seeds that change
their sign at random reach no p value below 2 / 2**seeds. A permutation test beside it trusts nothing of the kind: the
arms' labels change places at random within each cell, which is a seed and a video. Alone it overclaims, as it takes
cells for independent: in the simulations below, of the worst mixture 20 to 50 %. The p value is the larger of the two.
With one video it is the permutation test that decides for few seeds.

Simulated were 1500 comparisons of equal arms for each of 7 mixtures of luck that comes from seeds, from videos and from
both together, with 2, 3, 5 and 12 seeds and 1, 3, 9 and 30 videos, without the permutation test. The share called
different at 0.05 was at most 0.059 with normal luck, also if videos have 1 to 6 clips and a fifth of them ten times the
error, and at most 0.047 with luck of long tails (t with 3 degrees of freedom, differences of log-normal numbers, one
training in ten that goes badly). Intervals of a 40 % reduction missed it as seldom. Where all luck is of single cells
the share is below 0.01: there it is conservative. Not covered is luck of two values, up to 0.25 with 2 or 3 seeds or
videos and 0.07 with 5, and a difference whose luck is as skewed as an exponential distribution, 0.08 to 0.13 with any
number. (Skewed luck that is the same in both arms leaves none in their difference.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing import jackknife
from convlstm_cli.comparing.jackknife import Estimate
from convlstm_cli.comparing.permutation import fewest_seeds, permutation_p

Array = NDArray[np.float64]
Interval = tuple[float, float]
Outcome = Literal["better", "worse", "undetectable"]

ALPHA = 0.05
"""Level of the tests; 1 - ALPHA is that of the intervals."""
FURTHEST = 30.0
"""Logarithm of the largest ratio that an interval tells."""
PERMUTATIONS = 5000
POWER_QUANTILE = 0.8416
"""Of the normal distribution, for a power of 80 %."""
MOST_SEEDS = 1000
"""`Difference.seeds_needed` counts no further; MOST_SEEDS + 1 stands for more."""


@dataclass(frozen=True)
class LeadDifference:
    """An arm against the reference at one lead time, or over all of them."""

    mean: float
    """MSE of the arm less MSE of the reference, both pooled over seeds and clips."""
    relative: float | None
    """`mean` over the MSE of the reference: -0.02 is 2 % less. None where that is 0 and `mean` is not."""
    interval: Interval | None
    """95 %, not adjusted for other arms and lead times: `relative_interval` times the MSE of the reference, which is
    to say of the difference on videos as hard as these. None with one seed and one video."""
    relative_interval: Interval | None
    p: float
    """Two-sided. With one seed it is about other videos only, with one video about other seeds only."""
    p_holm: float
    """Adjusted (Holm 1979) for the arms, and at single lead times for all lead times of all arms."""
    outcome: Outcome
    """Settled only with `p_holm` below 0.05, 0 outside the interval, and two seeds at least: one is one draw."""


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
    detectable: float | None
    """The relative difference that would have been settled with a power of 80 %."""
    by_lead_time: tuple[LeadDifference, ...]

    def to_dict(self) -> dict[str, object]:
        """As summary.json holds it."""
        values = asdict(self)
        del values["detectable"]
        return values


def compare_arms(
    mse: Mapping[str, Array],
    reference: str,
    videos: Sequence[str],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, Difference]:
    """Each other arm against `reference`, in the order of `mse`.

    Args:
        mse: of each arm, (seeds, clips, lead times), not negative. Entries of the same place belong together.
        videos: the name of each clip's video.
        permutations: how many are drawn where there are too many to enumerate.
        seed: of the permutations.
    """
    pooled = {name: _pooled(values, videos) for name, values in mse.items()}
    base = pooled.pop(reference)
    if not pooled:
        return {}
    estimates = {name: jackknife.estimate(arm - base, arm + base, _log_ratio) for name, arm in pooled.items()}
    p = np.array(
        [
            np.maximum(found.p(), permutation_p(pooled[name] - base, pooled[name] + base, permutations, seed))
            for name, found in estimates.items()
        ]
    )  # (arms, 1 + lead times)
    p_holm = np.concatenate((holm(p[:, :1]), holm(p[:, 1:])), axis=1)
    level = ALPHA / len(pooled)
    return {
        name: _difference(pooled[name] - base, base, found, p[position], p_holm[position], level)
        for position, (name, found) in enumerate(estimates.items())
    }


def arm_interval(values: Array, videos: Sequence[str]) -> list[Interval] | None:
    """95 % intervals, by lead time, of the mean of `values`, (seeds, clips, lead times), over other seeds and videos.

    Of the mean's logarithm if all values are positive, so that none reaches below 0. None with one seed and one video.
    These are wider than those of differences, in which the videos' difficulty cancels. Where that is log-normal with
    σ = 1, they held the truth in 89 to 94 % of simulations with 3 to 30 videos.
    """
    sums = jackknife.cells(values, videos)
    clips = jackknife.cells(np.ones_like(values), videos)
    if sums.shape[:2] == (1, 1):
        return None
    positive = bool((values > 0).all())
    found = jackknife.estimate(sums, clips, np.log if positive else np.asarray)
    half = found.critical(ALPHA) * found.error
    ends = np.stack((found.value - half, found.value + half), axis=1)
    return [(float(low), float(high)) for low, high in (np.exp(np.minimum(ends, FURTHEST)) if positive else ends)]


def holm(p: Array) -> Array:
    """Adjusts p values of any shape for their number: each is below a level only if Holm (1979) rejects at it."""
    order = np.argsort(p, axis=None)
    steps = p.ravel()[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.reshape(p.shape)


def _pooled(mse: Array, videos: Sequence[str]) -> Array:
    """(seeds, videos, 1 + lead times), the first over all lead times, which sum over cells to the pooled MSE."""
    sums = jackknife.cells(mse, videos) / (mse.shape[0] * mse.shape[1])
    return np.concatenate((sums.mean(axis=2, keepdims=True), sums), axis=2)


def _log_ratio(ratio: Array) -> Array:
    """log(a / b) of (a - b) / (a + b); large and finite where one of them is 0."""
    return 2 * np.arctanh(np.clip(ratio, -1 + 1e-12, 1 - 1e-12))


def _difference(difference: Array, base: Array, found: Estimate, p: Array, p_holm: Array, level: float) -> Difference:
    """All of one arm; arrays as in `compare_arms`, `level` as Holm's method asks it of the smallest p value."""
    seeds, videos = difference.shape[:2]
    leads = _by_column(difference, base, found, p, p_holm)
    by_seed = difference[..., 0].sum(axis=1)
    deviation = float(by_seed.std(ddof=1)) if seeds > 1 else 0.0
    needed = _seeds_needed(found.first(), seeds, videos, level)
    if needed is not None and leads[0].outcome == "undetectable":
        needed = max(needed, seeds + 1)
    return Difference(
        **vars(leads[0]),
        # Equal differences can have a deviation that is all rounding.
        effect_size=float(by_seed.mean()) / deviation if deviation > 1e-9 * abs(by_seed).max() else None,
        seeds_better=int((by_seed < 0).sum()),
        seeds=seeds,
        videos=videos,
        seeds_needed=needed,
        detectable=_detectable(found.first(), level) if seeds > 1 else None,
        by_lead_time=tuple(leads[1:]),
    )


def _by_column(difference: Array, base: Array, found: Estimate, p: Array, p_holm: Array) -> list[LeadDifference]:
    """All lead times together, then each."""
    several = difference.shape[0] > 1
    alone = difference.shape[:2] == (1, 1)
    mean, reference = difference.sum(axis=(0, 1)), base.sum(axis=(0, 1))
    relative = jackknife.quotient(mean, reference)
    half = found.critical(ALPHA) * found.error
    # An arm that fails where the other is exact leaves a ratio of no use, which is to stay a number.
    ends = np.expm1(np.minimum(np.stack((found.value - half, found.value + half), axis=1), FURTHEST))
    columns = []
    for column, (low, high) in enumerate(ends):
        unlike = reference[column] == 0 and mean[column] != 0
        settled = several and p_holm[column] < ALPHA
        columns.append(
            LeadDifference(
                mean=float(mean[column]),
                relative=None if unlike else float(relative[column]),
                interval=None if alone or unlike else (float(low * reference[column]), float(high * reference[column])),
                relative_interval=None if alone or unlike else (float(low), float(high)),
                p=float(p[column]),
                p_holm=float(p_holm[column]),
                outcome="better" if settled and high < 0 else "worse" if settled and low > 0 else "undetectable",
            )
        )
    return columns


def _seeds_needed(found: Estimate, seeds: int, videos: int, level: float) -> int | None:
    """Of an estimate with one column; see `Difference.seeds_needed`."""
    if seeds == 1 or found.value == 0:
        return None

    def settles(number: float) -> bool:
        # Of the videos' part, more seeds shrink only what the cells have in it.
        cells = np.minimum(found.cells, found.videos)
        expected = replace(
            found,
            seeds=found.seeds * seeds / number,
            videos=found.videos - cells + cells * seeds / number,
            seeds_degrees=np.full_like(found.value, number - 1),
        )
        return bool(expected.p(POWER_QUANTILE) < level)

    if not settles(1e9):
        return None
    low, high = fewest_seeds(videos, level) - 1, MOST_SEEDS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high


def _detectable(found: Estimate, level: float) -> float:
    """Of an estimate with one column; as a reduction, which is less than 1."""
    return float(-np.expm1(-(found.critical(level) + POWER_QUANTILE) * found.error).item())
