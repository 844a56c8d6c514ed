import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convlstm_cli.comparing.statistics.intervals import Bounds, arm_interval

SHARE, SIMILARITY, ERROR, BELOW, ANY = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (-math.inf, 0.0), (-math.inf, math.inf)


def named(count: int) -> list[str]:
    return [f"video {number}" for number in range(count)]


@st.composite
def measured(draw: st.DrawFn, bounds: Bounds) -> tuple[np.ndarray, list[str]]:
    """Values of a few seeds and clips within the bounds, the bounds themselves among them, and the clips' videos."""
    seeds, clips = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    low, high = (bound if math.isfinite(bound) else math.copysign(1e6, bound) for bound in bounds)
    values = st.one_of(st.floats(low, high), st.sampled_from([low, high, (low + high) / 2]))
    return draw(arrays(np.float64, (seeds, clips, 2), elements=values)), [
        f"video {draw(st.integers(0, 3))}" for _ in range(clips)
    ]


@pytest.mark.parametrize("bounds", [SHARE, SIMILARITY, ERROR, BELOW, ANY])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_intervals_end_within_the_bounds_and_hold_the_mean(bounds: Bounds, data: st.DataObject) -> None:
    values, videos = data.draw(measured(bounds))
    found = arm_interval(values, videos, bounds)
    if found is None:
        assert len(values) == len(set(videos)) == 1
        return
    for (low, high), mean in zip(found, values.mean(axis=(0, 1)), strict=True):
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert bounds[0] <= low <= high <= bounds[1]
        # Its own sums may round otherwise.
        assert low <= mean + 1e-9 * abs(mean) + 1e-300
        assert high >= mean - 1e-9 * abs(mean) - 1e-300


def test_four_videos_that_differ_much_have_a_wide_interval_that_ends_below_1() -> None:
    """The case of a report whose band of SSIM reached 1.75."""
    values = np.array([0.97, 0.9, 0.35, -0.2]).reshape(1, 4, 1).repeat(2, axis=0)
    [(low, high)] = arm_interval(values, named(4), SIMILARITY) or []
    assert low < -0.5
    assert 0.9 < high < 1.0


def test_values_without_bounds_have_the_students_t_interval() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, (1, 6, 1))
    [(low, high)] = arm_interval(values, named(6), ANY) or []
    assert (low + high) / 2 == pytest.approx(values.mean())
    half = 2.5706 * values.std(ddof=1) / math.sqrt(6)  # t of 5 degrees of freedom
    assert (high - low) / 2 == pytest.approx(half, rel=1e-4)


def test_where_values_lie_close_together_no_bound_matters() -> None:
    values = 0.5 + 1e-4 * np.random.default_rng(0).standard_normal((3, 5, 1))
    plain = arm_interval(values, named(5), ANY)
    for bounds in (SHARE, SIMILARITY, ERROR):
        np.testing.assert_allclose(arm_interval(values, named(5), bounds) or [], plain or [], atol=1e-7)


def test_a_metric_turned_round_has_the_interval_turned_round() -> None:
    values = np.random.default_rng(0).uniform(0.0, 1.0, (2, 5, 1))
    [(low, high)] = arm_interval(values, named(5), SHARE) or []
    np.testing.assert_allclose(arm_interval(1 - values, named(5), SHARE) or [], [(1 - high, 1 - low)])
    [(low, high)] = arm_interval(values, named(5), ERROR) or []
    np.testing.assert_allclose(arm_interval(-values, named(5), BELOW) or [], [(-high, -low)])


def test_equal_values_have_an_interval_without_length() -> None:
    for value in (0.0, 0.3, 1.0):
        ends = arm_interval(np.full((2, 3, 1), value), named(3), SHARE) or []
        np.testing.assert_allclose(ends, [(value, value)], atol=1e-300)


def test_one_seed_and_one_video_have_no_interval() -> None:
    assert arm_interval(np.full((1, 4, 2), 0.5), ["a"] * 4, SHARE) is None


@pytest.mark.parametrize("videos", [3, 9])
@pytest.mark.parametrize("deviation", [1.0, 2.0])
def test_the_truth_is_held_about_as_often_as_the_interval_says(videos: int, deviation: float) -> None:
    """SSIM that is logit-normal over videos, with a tenth of that from seeds."""
    rng = np.random.default_rng(0)

    def similarity(place: np.ndarray) -> np.ndarray:
        return np.tanh((1.5 + deviation * place) / 2)

    of_seeds, of_videos = 0.1 * rng.standard_normal((3, 1, 600)), rng.standard_normal((1, videos, 600))
    truth = similarity(math.sqrt(1.01) * rng.standard_normal(1_000_000)).mean()
    found = arm_interval(similarity(of_seeds + of_videos), named(videos), SIMILARITY) or []
    assert 0.9 <= np.mean([low < truth < high for low, high in found]) <= 0.99
