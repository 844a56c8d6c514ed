import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.comparing.statistics.significance import MOST_SEEDS, compare_arms, holm
from convlstm_cli.scoring.comparison_result import Difference

STUDIES = 300
"""Comparisons in a simulation: each is a lead time, so that one call tests all of them."""


def simulated(
    seeds: int,
    videos: int,
    spread: tuple[float, float, float],
    effect: float = 0.0,
    *,
    studies: int = STUDIES,
    clips: int = 1,
    hardest: float = 10.0,
    number: int = 0,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Squared errors of two arms, (seeds, clips, studies), the true difference being `effect` of the reference.

    `spread` has the standard deviations of what seeds, videos, and both together do to the relative difference. A
    fifth of the videos has `hardest` times the error of the others. Videos have 1 to `clips` clips.
    """
    rng = np.random.default_rng(number)
    seed, video, cell = (
        deviation * rng.standard_normal((*shape, studies))
        for deviation, shape in zip(spread, ((seeds, 1), (1, videos), (seeds, videos)), strict=True)
    )
    hard = np.where(rng.random((1, videos, studies)) < 0.2, 0.01 * hardest, 0.01)
    reference = hard * (1 + 0.1 * rng.standard_normal((seeds, 1, studies)))
    arm = reference * (1 + effect + seed + video + cell)
    counts = rng.integers(1, clips + 1, videos)
    names = [f"video {number}" for number in np.repeat(np.arange(videos), counts)]
    return {name: np.repeat(mse, counts, axis=1) for name, mse in (("none", reference), ("channel", arm))}, names


def small(
    seeds: int = 3, videos: int = 4, leads: int = 2, effect: float = -0.1
) -> tuple[dict[str, np.ndarray], list[str]]:
    return simulated(seeds, videos, (0.02, 0.02, 0.02), effect, studies=leads, clips=3)


def one(mse: dict[str, np.ndarray], videos: list[str], **options: int) -> Difference:
    return compare_arms(mse, "none", videos, **options)["channel"]


def rejected(mse: dict[str, np.ndarray], videos: list[str]) -> float:
    """Share of the lead times with p below 0.05, each taken for itself."""
    return float(np.mean([at.p < 0.05 for at in one(mse, videos, permutations=99).by_lead_time]))


def test_the_difference_is_that_of_pooled_mse() -> None:
    mse, videos = small()
    found = one(mse, videos)
    difference = mse["channel"].mean() - mse["none"].mean()
    assert found.mean == pytest.approx(difference)
    assert found.relative == pytest.approx(difference / mse["none"].mean())
    by_lead = mse["channel"].mean(axis=(0, 1)) - mse["none"].mean(axis=(0, 1))
    assert [at.mean for at in found.by_lead_time] == pytest.approx(by_lead)
    assert (found.seeds, found.videos, found.seeds_better) == (3, 4, 3)
    by_seed = (mse["channel"] - mse["none"]).mean(axis=(1, 2))
    assert found.effect_size == pytest.approx(by_seed.mean() / by_seed.std(ddof=1))
    (low, high), (relative_low, relative_high) = found.interval or (0, 0), found.relative_interval or (0, 0)
    assert low < found.mean < high
    assert (low, high) == pytest.approx((relative_low * mse["none"].mean(), relative_high * mse["none"].mean()))


@pytest.mark.parametrize("spread", [(0.05, 0.0, 0.001), (0.0, 0.05, 0.001), (0.04, 0.03, 0.02)])
@pytest.mark.parametrize(("seeds", "videos"), [(2, 9), (3, 6), (8, 4)])
def test_arms_that_differ_by_luck_are_seldom_called_different(
    seeds: int, videos: int, spread: tuple[float, float, float]
) -> None:
    """At a true level of 5 %, more than 9 % of 300 has a probability of 0.001."""
    assert rejected(*simulated(seeds, videos, spread, clips=4)) <= 0.09


def test_the_level_is_used_and_not_hoarded() -> None:
    assert rejected(*simulated(5, 12, (0.05, 0.01, 0.01))) >= 0.025


def test_more_seeds_find_more() -> None:
    found = [rejected(*simulated(seeds, 9, (0.05, 0.005, 0.02), -0.06, hardest=2.0)) for seeds in (3, 6, 12)]
    assert found[0] + 0.15 < found[1] < found[2] - 0.1
    assert found[2] > 0.8


def test_an_enormous_difference_shows_with_three_seeds() -> None:
    assert rejected(*simulated(3, 9, (0.05, 0.1, 0.05), -0.5, clips=2, hardest=2.0)) > 0.95


@pytest.mark.parametrize("spread", [(0.1, 0.02, 0.02), (0.02, 0.1, 0.02), (0.05, 0.05, 0.05)])
def test_the_interval_holds_the_truth_as_often_as_it_says(spread: tuple[float, float, float]) -> None:
    found = one(*simulated(3, 9, spread, -0.3, clips=4), permutations=9)
    held = np.mean([low < -0.3 < high for low, high in (at.relative_interval or (0, 0) for at in found.by_lead_time)])
    assert 0.91 <= held <= 0.999


def test_with_one_video_no_p_is_below_that_of_seeds_that_all_agree() -> None:
    for seeds in (3, 5, 6):
        found = one(*simulated(seeds, 1, (0.001, 0.0, 0.0), -0.5, studies=1))
        assert found.p == pytest.approx(2 / 2**seeds)
        assert found.outcome == ("better" if seeds == 6 else "undetectable")


def test_one_seed_settles_nothing() -> None:
    found = one(*simulated(1, 30, (0.0, 0.01, 0.0), -0.5, studies=3))
    assert found.p < 0.001
    assert {found.outcome, *(at.outcome for at in found.by_lead_time)} == {"undetectable"}
    assert (found.effect_size, found.seeds_needed, found.detectable) == (None, None, None)
    assert found.relative_interval is not None


def test_one_seed_and_one_video_have_no_interval() -> None:
    found = one(*simulated(1, 1, (0.0, 0.0, 0.0), -0.5, studies=2, clips=1))
    assert (found.p, found.interval, found.relative_interval) == (1.0, None, None)
    assert found.relative == pytest.approx(-0.5)
    json.dumps(found.to_dict(), allow_nan=False)


def test_equal_arms_do_not_differ() -> None:
    mse, videos = small()
    found = one({"none": mse["none"], "channel": mse["none"]}, videos)
    assert (found.mean, found.relative, found.p, found.outcome) == (0.0, 0.0, 1.0, "undetectable")
    assert (found.interval, found.relative_interval, found.effect_size, found.seeds_needed) == (
        (0.0, 0.0),
        (0.0, 0.0),
        None,
        None,
    )


def test_arms_without_error_do_not_differ_either() -> None:
    zero = np.zeros((3, 4, 2))
    found = one({"none": zero, "channel": zero}, ["a", "a", "b", "c"])
    assert (found.relative, found.p, found.relative_interval) == (0.0, 1.0, (0.0, 0.0))


def test_an_exact_reference_has_nothing_to_be_relative_to() -> None:
    mse, videos = small()
    found = one({"none": 0 * mse["none"], "channel": mse["channel"]}, videos)
    assert (found.relative, found.interval, found.outcome) == (None, None, "worse")
    json.dumps(found.to_dict(), allow_nan=False)
    turned = one({"none": mse["channel"], "channel": 0 * mse["none"]}, videos)
    assert (turned.relative, turned.outcome) == (-1.0, "better")
    json.dumps(turned.to_dict(), allow_nan=False)


def test_the_dictionary_is_what_summaries_hold() -> None:
    found = json.loads(json.dumps(one(*small()).to_dict()))
    at = {"mean", "relative", "interval", "relative_interval", "p", "p_holm", "outcome"}
    own = {"effect_size", "seeds_better", "seeds", "videos", "seeds_needed", "interval_of_these_trainings"}
    assert set(found) == at | own | {"by_lead_time"}
    assert [set(lead) for lead in found["by_lead_time"]] == [at, at]


def test_holm_is_the_textbook_example() -> None:
    """0.01 x 4, 0.013 x 3, 0.02 x 2 and 0.03 x 1, none below an earlier one, none above 1."""
    assert holm(np.array([0.02, 0.01, 0.03, 0.013])) == pytest.approx([0.04, 0.04, 0.04, 0.04])
    assert holm(np.array([[0.5, 0.001], [0.2, 0.9]])) == pytest.approx(np.array([[1.0, 0.004], [0.6, 1.0]]))


def test_several_arms_and_lead_times_pay_for_their_number() -> None:
    mse, videos = small()
    mse["full"] = mse["none"] * np.random.default_rng(5).normal(0.97, 0.02, mse["none"].shape)
    both = compare_arms(mse, "none", videos)
    assert list(both) == ["channel", "full"]
    assert [found.p_holm for found in both.values()] == pytest.approx(
        holm(np.array([found.p for found in both.values()]))
    )
    leads = [at for found in both.values() for at in found.by_lead_time]
    assert [at.p_holm for at in leads] == pytest.approx(holm(np.array([at.p for at in leads])))
    alone = one({name: mse[name] for name in ("none", "channel")}, videos)
    assert alone.p == both["channel"].p
    assert compare_arms({"none": mse["none"]}, "none", videos) == {}


def test_the_same_seed_gives_the_same_p() -> None:
    mse, videos = simulated(5, 6, (0.05, 0.0, 0.02), -0.001, studies=1)
    assert one(mse, videos) == one(mse, videos)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 4), st.integers(1, 5), st.integers(0, 1000))
def test_arms_that_change_places_change_the_sign_only(seeds: int, videos: int, number: int) -> None:
    mse, names = simulated(seeds, videos, (0.05, 0.05, 0.05), -0.3, studies=2, clips=3, number=number)
    found = one(mse, names, permutations=200)
    turned = one({"none": mse["channel"], "channel": mse["none"]}, names, permutations=200)
    assert turned.mean == pytest.approx(-found.mean)
    assert turned.p == pytest.approx(found.p)
    opposite = {"better": "worse", "worse": "better", "undetectable": "undetectable"}
    assert turned.outcome == opposite[found.outcome]
    low, high = found.relative_interval or (0, 0)
    assert turned.relative_interval == pytest.approx((1 / (1 + high) - 1, 1 / (1 + low) - 1))


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_neither_the_unit_nor_the_order_of_clips_matters(unit: float, number: int) -> None:
    mse, videos = simulated(3, 5, (0.05, 0.05, 0.05), -0.1, studies=2, clips=3, number=number)
    found = one(mse, videos, permutations=200)
    order = np.random.default_rng(number).permutation(len(videos))
    other = one(
        {name: unit * values[:, order] for name, values in mse.items()},
        [videos[clip] for clip in order],
        permutations=200,
    )
    assert other.p == pytest.approx(found.p)
    assert other.relative_interval == pytest.approx(found.relative_interval)
    assert other.mean == pytest.approx(unit * found.mean)


def test_clips_of_a_video_are_not_independent() -> None:
    """Every clip ten times adds no information."""
    mse, videos = small()
    often = {name: np.repeat(values, 10, axis=1) for name, values in mse.items()}
    once, many = one(mse, videos), one(often, [name for name in videos for _ in range(10)])
    assert many.p == pytest.approx(once.p)
    assert many.relative_interval == pytest.approx(once.relative_interval)


def test_better_needs_an_interval_without_0() -> None:
    for number in range(40):
        mse, videos = simulated(3, 9, (0.05, 0.02, 0.02), -0.15, studies=1, number=number)
        found = one(mse, videos, permutations=200)
        _, high = found.relative_interval or (0, 0)
        assert found.outcome == ("better" if found.p < 0.05 and high < 0 else "undetectable")


def test_as_many_seeds_as_are_said_to_be_needed_find_it_four_times_in_five() -> None:
    needed = [
        one(*simulated(40, 12, (0.06, 0.001, 0.01), -0.05, studies=1, number=number), permutations=99).seeds_needed
        for number in range(15)
    ]
    middle = int(np.median([count or 0 for count in needed]))
    assert 0.7 < rejected(*simulated(middle, 12, (0.06, 0.001, 0.01), -0.05)) < 0.92


def test_more_seeds_are_not_the_answer_where_the_videos_disagree() -> None:
    assert one(*simulated(5, 4, (0.001, 0.1, 0.001), -0.02, studies=1)).seeds_needed is None
    tiny = {"none": np.ones((2, 1, 1)), "channel": np.array([1.1, 0.9001]).reshape(2, 1, 1)}
    assert one(tiny, ["a"]).seeds_needed == MOST_SEEDS + 1


def test_what_is_called_detectable_is_detected_four_times_in_five() -> None:
    spread = (0.05, 0.001, 0.01)
    found = [
        one(*simulated(6, 12, spread, studies=1, number=number), permutations=9).detectable for number in range(30)
    ]
    effect = float(np.sqrt(np.mean([(value or 0) ** 2 for value in found])))
    assert 0.7 < rejected(*simulated(6, 12, spread, -effect)) < 0.95


def test_arms_that_are_exact_where_the_other_fails_still_have_intervals() -> None:
    one, other = np.zeros((2, 2, 1)), np.zeros((2, 2, 1))
    one[0, 0], other[1, 1] = 1e-3, 1e-3
    found = compare_arms({"one": one, "other": other}, "one", ["a", "b"])["other"]
    assert found.outcome == "undetectable"
    json.dumps(found.to_dict(), allow_nan=False)
