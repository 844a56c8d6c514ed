import math

import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.training.budget import Budget
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.schedule import LOWEST_RATE, SCHEDULES, Schedule


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_begins_at_the_highest_rate_and_never_rises(name: str) -> None:
    rates = [SCHEDULES[name].rate(done / 100) for done in range(101)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] >= LOWEST_RATE


def test_half_of_the_cosine_is_in_the_middle() -> None:
    assert SCHEDULES["cosine"].rate(0.5) == pytest.approx((1.0 + LOWEST_RATE) / 2)
    assert SCHEDULES["cosine"].rate(1.0) == pytest.approx(LOWEST_RATE)


def test_a_schedule_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--schedule is 'root'; choose one of cosine, constant"):
        TrainConfig(schedule="root")
    monkeypatch.setitem(SCHEDULES._entries, "root", Schedule("root", "a square root", lambda done: math.sqrt(1 - done)))
    budget = Budget(TrainConfig(schedule="root", max_steps=4, warmup=0.0), batches_per_epoch=1)
    assert budget.rate(3, 0.0) == 0.5
