import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.training.budget import Budget, Clock
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.schedule import LOWEST_RATE


def test_the_tightest_limit_counts() -> None:
    assert Budget(TrainConfig(epochs=3), batches_per_epoch=10).steps == 30
    assert Budget(TrainConfig(epochs=3, max_steps=12), batches_per_epoch=10).steps == 12
    timed = Budget(TrainConfig(max_time=60.0), batches_per_epoch=10)
    assert timed.steps is None
    assert not timed.spent(10**6, 59.9)
    assert timed.spent(0, 60.0)


@given(st.integers(1, 5000), st.floats(0.0, 0.5))
def test_the_rate_rises_then_falls_and_is_never_zero(steps: int, warmup: float) -> None:
    budget = Budget(TrainConfig(max_steps=steps, warmup=warmup), batches_per_epoch=7)
    rates = [budget.rate(step, 0.0) for step in range(steps + 1)]
    peak = rates.index(max(rates))
    assert all(0.0 < rate <= 1.0 for rate in rates)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(LOWEST_RATE)


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    budget = Budget(TrainConfig(max_steps=10, warmup=0.2, schedule="constant"), batches_per_epoch=7)
    assert [budget.rate(step, 0.0) for step in range(11)] == [0.01, 0.5] + 9 * [1.0]


def test_truth_is_fed_less_and_less_and_not_at_all_from_half_way() -> None:
    budget = Budget(TrainConfig(max_steps=8, scheduled_sampling=0.8), batches_per_epoch=7)
    assert [budget.feeding(step, 0.0) for step in range(9)] == pytest.approx([0.8, 0.6, 0.4, 0.2] + 5 * [0.0])


def test_time_left_is_estimated_from_the_share_done() -> None:
    budget = Budget(TrainConfig(max_steps=100), batches_per_epoch=10)
    assert budget.seconds_left(0, 5.0) is None
    assert budget.seconds_left(25, 10.0) == pytest.approx(30.0)


def test_a_resumed_clock_goes_on() -> None:
    assert 100.0 <= Clock(100.0).seconds < 110.0
