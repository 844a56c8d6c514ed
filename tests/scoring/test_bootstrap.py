import json

import numpy as np
import pytest
from made_up_evaluation import scores_of

from convlstm_cli.scoring.bootstrap import difference_interval, skills
from convlstm_cli.scoring.formulae import skill
from convlstm_cli.scoring.scores import Scores


def drawn(videos: int, seed: int) -> tuple[Scores, Scores, list[str]]:
    """Videos of 1 to 4 clips that are alike, with a true skill of 0.5 at both lead times."""
    rng = np.random.default_rng(seed)
    clips = rng.integers(1, 5, videos)
    level = np.repeat(rng.gamma(4.0, 0.01, (videos, 1)), clips, axis=0)
    ratio = np.repeat(rng.uniform(0.3, 0.7, (videos, 1)), clips, axis=0)
    reference = level * np.ones((1, 2))
    names = [f"v{number}" for number in np.repeat(np.arange(videos), clips)]
    return scores_of(reference * ratio), scores_of(reference), names


def test_the_skill_is_that_of_the_pooled_clips() -> None:
    model, reference, names = drawn(6, 0)
    found = skills(model, {"a": reference, "b": model}, names, resamples=50)
    assert found["a"].mean == pytest.approx(skill(model.mean_mse, reference.mean_mse))
    assert found["a"].by_lead_time == pytest.approx(
        [skill(a, b) for a, b in zip(model.mse, reference.mse, strict=True)]
    )
    assert found["b"].mean == 0.0
    assert found["b"].interval == (0.0, 0.0)
    low, high = found["a"].interval or (1.0, 0.0)
    assert low < found["a"].mean < high
    assert len(found["a"].interval_by_lead_time or []) == 2


def test_a_bootstrap_of_two_videos_has_three_outcomes() -> None:
    """Drawn are either both, or one of them twice; each alone is rare enough to be an end of the interval."""
    model, reference = scores_of(np.array([[0.01], [0.01], [0.09]])), scores_of(np.array([[0.04], [0.02], [0.1]]))
    found = skills(model, {"a": reference}, ["x", "x", "y"])
    assert found["a"].mean == pytest.approx(1 - 11 / 16)
    assert found["a"].interval == pytest.approx((1 - 9 / 10, 1 - 2 / 6), rel=1e-4)


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    model, reference, names = drawn(12, 1)
    first, again, other = (skills(model, {"a": reference}, names, resamples=200, seed=seed)["a"] for seed in (0, 0, 1))
    assert first == again
    assert first.interval != other.interval


def test_one_video_has_no_interval() -> None:
    model, reference, _ = drawn(3, 0)
    found = skills(model, {"a": reference}, ["same"] * model.clips)["a"]
    assert found.interval is None
    assert found.to_dict()["interval_by_lead_time"] is None


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(40):
        model, reference, names = drawn(25, seed)
        low, high = skills(model, {"a": reference}, names, resamples=200)["a"].interval or (1.0, 0.0)
        held += low <= 0.5 <= high
    assert 0.85 <= held / 40 <= 1.0


def test_whole_videos_are_drawn_since_their_clips_are_alike() -> None:
    """Every clip ten times tells nothing new, so the interval must not shrink."""
    model, reference, names = drawn(15, 2)
    often = [scores_of(np.repeat(scores.per_clip("mse"), 10, axis=0)) for scores in (model, reference)]
    once = skills(model, {"a": reference}, names, resamples=300)["a"].interval
    many = skills(often[0], {"a": often[1]}, [name for name in names for _ in range(10)], resamples=300)["a"].interval
    assert many == pytest.approx(once, rel=1e-5)


def test_an_exact_baseline_is_still_json() -> None:
    zero, some = scores_of(np.zeros((4, 1))), scores_of(np.full((4, 1), 0.1))
    names = ["a", "b", "c", "d"]
    found = skills(some, {"exact": zero}, names, resamples=20)["exact"]
    assert found.mean == -np.inf
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["interval"] == [None, None]
    assert skills(zero, {"exact": zero}, names, resamples=20)["exact"].interval == (0.0, 0.0)


def test_the_interval_of_a_difference_is_over_videos_with_these_trainings() -> None:
    """Of two videos are drawn either both or one twice; seeds and clips of a video stay together."""
    reference = np.full((2, 3, 2), 0.1)
    arm = reference * np.array([0.8, 1.0, 1.2])[:, None]
    assert difference_interval(arm, reference, ["x", "x", "y"]) == pytest.approx((-0.1, 0.2))
    assert difference_interval(reference, reference, ["x", "x", "y"]) == (0.0, 0.0)
    assert difference_interval(arm, reference, ["x"] * 3) is None
    assert difference_interval(arm, 0 * reference, ["x", "x", "y"]) == (np.inf, np.inf)


def test_the_luck_of_trainings_is_not_in_the_interval_of_a_difference() -> None:
    """All videos say the same of each seed, so other videos would have too, however much the seeds differ."""
    reference = np.full((3, 8, 1), 0.1)
    arm = reference * np.array([0.5, 1.0, 1.5])[:, None, None]
    names = [f"v{number}" for number in range(8)]
    assert difference_interval(arm, reference, names) == pytest.approx((0.0, 0.0))


def test_the_interval_of_a_difference_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        level = rng.gamma(4.0, 0.01, (1, 30, 1))
        suits = rng.normal(0.9, 0.1, (1, 30, 1))  # an arm may suit a video, with every seed
        arm = level * (suits + rng.normal(0.0, 0.02, (3, 30, 2)))
        low, high = difference_interval(arm, np.broadcast_to(level, arm.shape), list(map(str, range(30)))) or (1.0, 0.0)
        held += low <= -0.1 <= high
    assert 0.86 <= held / 100 <= 1.0
