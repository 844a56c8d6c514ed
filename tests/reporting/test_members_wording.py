from collections.abc import Sequence
from dataclasses import replace

import pytest

from convlstm_cli.reporting.members_wording import members_verdict, score_digits
from convlstm_cli.scoring.members.member_scores import PooledMembers, Ranks
from convlstm_cli.scoring.members.ranks import RankTest


def pooled(crps: float, spread: Sequence[float] | None = None, ranks: Ranks | None = None) -> PooledMembers:
    return PooledMembers(
        members=1 if spread is None else 20,
        crps=[crps],
        energy=[crps],
        mse=[crps**2],
        mean_crps=crps,
        mean_energy=crps,
        mean_mse=crps**2,
        spread_skill=None if spread is None else list(spread),
        mean_spread_skill=None if spread is None else spread[0],
        ranks=ranks,
        exceedance=(),
        unit="mm/h",
    )


def ranks(p: float | None, tilt: float = 0.0, bow: float = 0.0) -> Ranks:
    return Ranks([1 / 21] * 21, 100, 0.05, [0.05], None if p is None else RankTest(p, 12, tilt, bow))


def test_the_crps_stands_beside_the_forecast_and_the_best_single_baseline() -> None:
    systems = {
        "members": pooled(0.3, [1.0]),
        "model": pooled(0.4),
        "persistence": pooled(0.6),
        "optical_flow": pooled(0.5),
    }
    assert members_verdict(systems)[0] == (
        "The 20 members have a CRPS of 0.30000 mm/h: 0.75 times the mean absolute error of the forecast, "
        "0.60 times that of optical flow, the best single forecast without training."
    )


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        ([0.9, 1.1], "0.90 to 1.10 by lead time: they differ by about as much as they are wrong"),
        ([0.4, 0.6], "they agree more than they are right"),
        ([1.4, 1.6], "they differ more than they are wrong"),
        ([0.4, 1.6, float("inf")], "0.40 to 1.60 by lead time: that depends on the lead time"),
    ],
)
def test_the_spread_is_judged(spread: list[float], words: str) -> None:
    assert words in members_verdict({"members": pooled(0.3, spread)})[1]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (ranks(None), "too few videos to test"),
        (ranks(0.4), "over 12 videos they may be even (p = 0.400)"),
        (ranks(0.0001, bow=0.5), "not even (p < 0.001, over 12 videos): the truth is outside the members too often"),
        (ranks(0.01, bow=-0.5), "in the middle of the members too often"),
        (ranks(0.01, tilt=-0.6, bow=0.5), "too often below them"),
        (ranks(0.01, tilt=0.6), "too often above them"),
    ],
)
def test_the_ranks_are_judged(found: Ranks, words: str) -> None:
    assert words in members_verdict({"members": pooled(0.3, [1.0], found)})[-1]


def test_members_without_a_truth_have_no_verdict() -> None:
    own = replace(pooled(0.3, [1.0]), mean_crps=float("nan"))
    assert members_verdict({"members": own}) == []


def test_decimals_show_two_digits_of_the_least_mean() -> None:
    assert score_digits([0.5, 0.3]) == 5
    assert score_digits([0.5, 0.0000123]) == 6
    assert score_digits([123.0]) == 3
    assert score_digits([0.0, float("nan")]) == 5
