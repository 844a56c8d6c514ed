"""Whether one arm of a comparison is better than another by more than the luck of trainings and of test videos.

The claim is about other seeds and other videos like these. Seeds and videos are therefore random factors, and they are
crossed: the luck of a seed is shared by all videos, and an arm may suit a video with every seed. Clips of one video are
never taken as independent.

The statistic is the logarithm of the ratio of the two arms' pooled MSE. It changes its sign when the arms are
exchanged, and it has no spread where the difference is 2 % in easy and hard videos alike. Its variance is the sum of
two jackknife variances, which leave out one seed and one video at a time (two-way clustering: Cameron, Gelbach & Miller
2011, without subtracting the variance of the cells, so that the sum is never negative and at most twice too large;
delete-one: MacKinnon, Nielsen & Webb 2023, for clusters that differ). The statistic over its standard error is compared
with the Behrens-Fisher distribution, for the p value and for the interval. Degrees of freedom: Bell & McCaffrey (2002),
for the shares of the videos (and seeds) in the error; with one video that has ten times the error of five others they
are 1.1, not 5.

This test assumes luck that is roughly normal. With fewer than 6 seeds or videos no test can do without such an
assumption: a sign test over seeds reaches no p value below 2 / 2**seeds. A permutation test beside it makes no
assumption about the distribution: the arms' labels are exchanged at random within each cell, which is a seed and a
video. It takes cells for independent, so that it overclaims when used alone: in the simulations below, 20 to 50 % for
the worst mixture. The p value is the larger of the two. With one video and few seeds the permutation test decides.

Simulation: 1500 comparisons of equal arms for each of 7 mixtures of luck from seeds, from videos and from both
together, with 2, 3, 5 and 12 seeds and 1, 3, 9 and 30 videos, without the permutation test. At the level 0.05

- at most 0.059 were called different with normal luck, also where videos have 1 to 6 clips and a fifth of them ten
  times the error; intervals of a 40 % reduction missed it as seldom;
- at most 0.047 with luck of long tails (t with 3 degrees of freedom, differences of log-normal numbers, one training in
  ten that goes badly);
- less than 0.01 where all luck is that of single cells: there the test is conservative;
- too many with luck of two values: up to 0.25 with 2 or 3 seeds or videos, and 0.07 with 5;
- too many where the luck of the difference is as skewed as an exponential distribution: 0.08 to 0.13 with any number.
  (Skewed luck that is the same in both arms cancels in their difference.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.statistics import jackknife
from convlstm_cli.comparing.statistics.jackknife import Estimate
from convlstm_cli.comparing.statistics.permutation import fewest_seeds, permutation_p
from convlstm_cli.scoring.comparison_result import Difference, LeadDifference

Array = NDArray[np.float64]

ALPHA = 0.05
"""Level of the tests; 1 - ALPHA is that of the intervals."""
FURTHEST = 30.0
"""Logarithm of the largest ratio at which an interval ends."""
PERMUTATIONS = 5000
POWER_QUANTILE = 0.8416
"""Quantile of the normal distribution for a power of 80 %."""
MOST_SEEDS = 1000
"""`Difference.seeds_needed` counts no further; MOST_SEEDS + 1 stands for more."""


def compare_arms(
    mse: Mapping[str, Array],
    reference: str,
    videos: Sequence[str],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compares each other arm with `reference`, in the order of `mse`.

    Args:
        mse: MSE of each arm, (seeds, clips, lead times), not negative. Arms share the seed and the clip of a position.
        videos: the name of each clip's video.
        permutations: number of permutations that are drawn where there are too many to enumerate.
        seed: seed of these draws.
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
    """What is found about one arm. `level` is the one that Holm's method demands of the smallest p value."""
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
        by_lead_time=leads[1:],
    )


def _by_column(difference: Array, base: Array, found: Estimate, p: Array, p_holm: Array) -> list[LeadDifference]:
    """The difference over all lead times, then at each."""
    several = difference.shape[0] > 1
    alone = difference.shape[:2] == (1, 1)
    mean, reference = difference.sum(axis=(0, 1)), base.sum(axis=(0, 1))
    relative = jackknife.quotient(mean, reference)
    half = found.critical(ALPHA) * found.error
    # Where one arm is exact and the other fails, the ratio says nothing, but it has to stay a finite number.
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
    """`Difference.seeds_needed`, for an estimate with one column."""
    if seeds == 1 or found.value == 0:
        return None

    def settles(number: float) -> bool:
        # More seeds shrink the variance from videos only by the part that the cells have in it.
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
    """`Difference.detectable`, for an estimate with one column: as a reduction, which is less than 1."""
    return float(-np.expm1(-(found.critical(level) + POWER_QUANTILE) * found.error).item())
