from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers.arrays.clock import Clock, clock_of


@pytest.mark.parametrize(
    ("unit", "start", "second"),
    [
        ("minutes since 2024-05-01 00:00:00", datetime(2024, 5, 1, 0, 10), 300.0),
        ("hours since 2024-05-01T00:00:00Z", datetime(2024, 5, 1, 10), 18000.0),
        ("days since 2000-1-1", datetime(2000, 1, 11), 432000.0),
        ("seconds since 1970-01-01 00:00:00.0 +0200", datetime(1969, 12, 31, 22, 0, 10), 5.0),
        ("seconds", None, 5.0),
        ("ms", None, 0.005),
    ],
)
def test_units(unit: str, start: datetime | None, second: float) -> None:
    assert clock_of([10, 15, 25], unit, "standard", "a") == Clock((0.0, second, 3 * second), start, None)


@pytest.mark.parametrize("unit", ["", "mm/h", "months since 2000-01-01", "since 2000-01-01"])
def test_other_units_are_no_times(unit: str) -> None:
    assert clock_of([1, 2], unit, "", "a") is None


def test_other_calendars_have_times_and_no_date() -> None:
    assert clock_of([0, 1], "days since 2000-02-30", "360_day", "a") == Clock((0.0, 86400.0), None, None)
    assert clock_of([0, 1], "days since 2000-02-30", "", "a") == Clock((0.0, 86400.0), None, None)


@given(st.lists(st.integers(0, 10**6), min_size=1, unique=True))
def test_frames_are_put_in_the_order_of_their_times(ticks: list[int]) -> None:
    clock = clock_of(ticks, "minutes since 2020-01-01", "", "a")
    assert clock is not None
    order = clock.order or range(len(ticks))
    assert [ticks[at] for at in order] == sorted(ticks)
    assert clock.times == tuple(60.0 * (tick - min(ticks)) for tick in sorted(ticks))


def test_times_that_are_the_same_or_missing() -> None:
    assert clock_of([1, 1], "hours", "", "a") is None
    with pytest.raises(InputError, match="a: holds times that are missing"):
        clock_of([1, float("nan")], "hours", "", "a")
