"""What the p-values and the threshold promise, on scores that are drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convlstm_cli.watching.calibration import (
    Reference,
    Threshold,
    UsualErrors,
    cross_scores,
    reference_of,
    threshold_of,
)
from convlstm_cli.watching.patches import Surprise

SECONDS = 0.04


def runs(frames: NDArray[np.int64], reach: int) -> int:
    """The alarms that frames raise, counted one by one."""
    count, last = 0, -(10**9)
    for frame in frames.tolist():
        count, last = count + (frame - last > reach), frame
    return count


def clustered(count: int, seed: int) -> NDArray[np.float64]:
    """Scores of which neighbours rise and fall together."""
    noise = np.random.default_rng(seed).normal(size=count + 200)
    return np.exp(np.convolve(noise, 0.9 ** np.arange(60))[100 : count + 100])


def of(scores: NDArray[np.float64]) -> Reference:
    return Reference(UsualErrors(torch.ones(1, 1)), np.sort(scores), Threshold(0.0, 1.0, 1.0))


def test_p_values_count_the_normal_scores_that_are_at_least_as_high() -> None:
    known = of(np.array([3.0, 1.0, 2.0, 2.0]))
    assert [known.p_value(score) for score in (0.5, 2.0, 2.5, 3.0, 9.0)] == [1.0, 0.8, 0.4, 0.4, 0.2]


def test_small_p_values_are_as_rare_as_they_say() -> None:
    """For scores that are exchangeable with the normal ones, P(p <= a) <= a for every a (Vovk et al. 2005)."""
    random = np.random.default_rng(0)
    found = np.array([of(random.normal(size=50)).p_value(random.normal()) for _ in range(4000)])
    for share in (0.02, 0.1, 0.5, 0.9):
        assert (found <= share).mean() <= share + 3 * np.sqrt(share * (1 - share) / len(found))
        assert (found <= share).mean() >= share - 0.05


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=40),
    st.integers(1, 5),
    st.floats(0.1, 4000.0),
)
def test_the_threshold_is_the_lowest_that_raises_few_enough_alarms(values: list[int], reach: int, rate: float) -> None:
    scores, frames = np.array(values, np.float64), np.arange(len(values)) * 2
    found = threshold_of(scores, frames, reach, 1.0, rate)
    hours = len(scores) / 3600

    def per_hour(threshold: float) -> float:
        return (runs(frames[scores > threshold], reach) + 1) / hours

    assert found.per_hour == pytest.approx(per_hour(found.score))
    assert found.is_as_asked == (found.per_hour <= rate)
    if not found.is_as_asked:
        assert found.score == scores.max()
    lower = [score for score in set(values) if score < found.score]
    if lower:
        assert per_hour(max(lower)) > rate


def test_a_rate_that_is_rarer_than_the_normal_frames_gives_their_highest_score() -> None:
    scores = clustered(9000, 0)
    found = threshold_of(scores, np.arange(9000), 10, SECONDS, 1.0)
    assert found.score == scores.max()
    assert found.per_hour == pytest.approx(10.0)  # once in the 6 minutes of normal frames
    assert not found.is_as_asked


@pytest.mark.parametrize("rate", [30.0, 120.0])
def test_normal_frames_raise_about_as_many_alarms_as_are_allowed(rate: float) -> None:
    """Over many recordings, of scores that come in clusters; frames alone would be far too many alarms."""
    found = []
    for seed in range(40):
        normal, later = clustered(18_000, seed), clustered(18_000, 1000 + seed)
        threshold = threshold_of(normal, np.arange(len(normal)), 10, SECONDS, rate)
        assert threshold.is_as_asked
        found.append(runs(np.flatnonzero(later > threshold.score), 10) / (len(later) * SECONDS / 3600))
    assert 0.7 * rate < np.mean(found) <= 1.1 * rate


def test_frames_of_other_recordings_raise_alarms_of_their_own() -> None:
    scores = np.array([1.0, 1, 9, 9, 1, 1])
    together = threshold_of(scores, np.arange(6), 10, 600.0, 2.0)
    apart = threshold_of(scores, np.array([0, 1, 2, 100, 101, 102]), 10, 600.0, 2.0)
    assert together.score == 1.0
    assert apart.score == 9.0


def test_usual_errors_of_other_parts_keep_the_scores_of_normal_frames_honest() -> None:
    """By usual errors that they are part of themselves, too few later frames would be as rare as they say."""

    def draw(count: int, seed: int) -> Surprise:
        errors = torch.rand(count, 3, 3, generator=torch.Generator().manual_seed(seed)) ** 30
        return Surprise(errors, torch.zeros_like(errors))

    above = {"crossed": [0.0], "own": [0.0]}
    for seed in range(60):
        normal, later = draw(12, seed), draw(60, 1000 + seed)
        usual = UsualErrors.of(normal.error)
        scores = usual.scores(later)[0].numpy()
        for name, known in (("crossed", cross_scores(normal)), ("own", usual.scores(normal)[0].numpy())):
            above[name].append(float((scores > np.sort(known)[-2]).mean()))
    crossed, own = (float(np.mean(shares[1:])) for shares in above.values())
    assert crossed < own
    assert crossed <= 2 / 13 + 0.02


def test_errors_are_judged_by_what_is_usual_at_their_place() -> None:
    """A tree in the wind: a large error there is no surprise, and the same error elsewhere is one."""
    errors = torch.full((100, 2, 2), 0.001)
    errors[:, 0, 0] = 0.1
    usual = UsualErrors.of(errors)
    found = torch.full((2, 2, 2), 0.001)
    found[0, 0, 0], found[1, 1, 1] = 0.12, 0.12
    scores, at = usual.scores(Surprise(found, torch.zeros_like(found)))
    assert float(scores[1]) > 3 * float(scores[0])
    assert at.tolist() == [0, 3]


def test_frames_without_values_have_no_score_and_are_left_out() -> None:
    errors = torch.rand(40, 2, 2)
    errors[7] = torch.nan
    errors[:, 0, 1] = torch.nan
    known = reference_of(Surprise(errors, torch.zeros_like(errors)), np.arange(40), 5, 1.0, 1.0)
    assert len(known.scores) == 39
    assert np.isfinite(known.scores).all()
    assert known.usual.scores(Surprise(errors, torch.zeros_like(errors)))[0].isnan().tolist() == [
        at == 7 for at in range(40)
    ]
