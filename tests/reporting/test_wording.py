from collections.abc import Sequence

import pytest
from made_up_evaluation import made_up_report

from convlstm_cli.reporting.wording import decimals, evaluation_verdict, ranges, worse_leads
from convlstm_cli.scoring.bootstrap import Interval
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.scoring.scores import PooledScores


@pytest.mark.parametrize(
    ("numbers", "words"), [([], ""), ([7], "7"), ([1, 2, 3, 7], "1 to 3, 7"), ([2, 4, 5], "2, 4 to 5")]
)
def test_numbers_in_a_row_are_a_range(numbers: list[int], words: str) -> None:
    assert ranges(numbers) == words


@pytest.mark.parametrize(("least", "digits"), [(0.02, 5), (4e-6, 7), (1e-12, 8), (0.0, 5)])
def test_small_errors_have_more_decimals(least: float, digits: int) -> None:
    systems = [PooledScores(1, {}, {"mse": mean, "ssim": mean}) for mean in (least, least and 1.0)]
    assert decimals(METRICS["mse"], systems) == digits
    assert decimals(METRICS["ssim"], systems) == 3


@pytest.mark.parametrize(("mean", "digits"), [(4.2, 5), (42.0, 4), (4_213_345.0, 1)])
def test_large_errors_have_fewer_decimals(mean: float, digits: int) -> None:
    assert decimals(METRICS["mse"], [PooledScores(1, {}, {"mse": mean})]) == digits
    assert decimals(METRICS["bias"], [PooledScores(1, {}, {"bias": bias}) for bias in (-mean, 1e-9)]) == digits


def test_lead_times_count_from_one() -> None:
    assert worse_leads([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == [3]


@pytest.mark.parametrize(
    ("mse", "sentence"),
    [
        ([0.005] * 3, "The forecast is better than optical flow: 0.50 times its MSE, at every lead time."),
        (
            [0.005, 0.03, 0.03, 0.005, 0.03],
            "The forecast is WORSE than optical flow: 2.00 times its MSE, at lead times 2 to 3, 5 of 5.",
        ),
        (
            [0.001, 0.001, 0.015],
            "The forecast is better than optical flow: 0.57 times its MSE, but worse at lead times 3 of 3.",
        ),
        ([0.05] * 2, "The forecast is WORSE than copying the last frame: 2.50 times its MSE, at every lead time."),
    ],
)
def test_a_sentence_says_how_the_forecast_compares(mse: Sequence[float], sentence: str) -> None:
    verdict = evaluation_verdict(made_up_report(mse))
    assert sentence in verdict
    worse = ["WORSE" in line for line in verdict]
    assert worse == sorted(worse, reverse=True)  # the bad news first


@pytest.mark.parametrize(
    ("videos", "interval", "sentence"),
    [
        (4, (-0.1, 0.6), "optical flow: 4 videos do not settle which of the two is better."),
        (4, (0.1, 0.6), "From 4 videos an interval is a rough guess, and rather too short."),
        (1, None, "There is no interval: a single video was scored, and an interval needs at least two to draw from."),
    ],
)
def test_what_the_videos_do_not_settle(videos: int, interval: Interval | None, sentence: str) -> None:
    assert any(line.endswith(sentence) for line in evaluation_verdict(made_up_report([0.005] * 2, videos, interval)))


def test_what_the_guard_changes_is_one_sentence() -> None:
    sentence = (
        "The guarded forecast, which predict writes, has 0.50 times the MSE of the forecast alone and 0.75 times that "
    )
    verdict = evaluation_verdict(made_up_report([0.015, 0.015], guarded=[0.003, 0.012]))
    expected = f"{sentence}of optical flow, the best of the simple ones, and is worse at lead times 2."
    assert expected in verdict
    assert not [line for line in evaluation_verdict(made_up_report([0.015, 0.015])) if "guarded" in line]
