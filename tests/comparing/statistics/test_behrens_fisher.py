import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.comparing.statistics.behrens_fisher import critical, two_sided


def at(*values: float) -> np.ndarray:
    return np.array(values)


def test_with_all_of_the_variance_in_one_part_it_is_students_t() -> None:
    degrees = at(1.0, 2.0, 5.0, 29.0)
    tables = at(12.706, 4.3027, 2.5706, 2.0452)
    other = np.full(4, 3.0)
    assert critical(0.05, np.ones(4), degrees, other) == pytest.approx(tables, rel=1e-4)
    assert critical(0.05, np.zeros(4), other, degrees) == pytest.approx(tables, rel=1e-4)


def test_it_agrees_with_the_table_of_fisher_and_yates() -> None:
    """The 5 % values at 45°, that is equal variances, for the degrees 6 and 6, 12 and 6, 12 and 12."""
    found = critical(0.05, np.full(3, 0.5), at(6.0, 12.0, 12.0), at(6.0, 6.0, 12.0))
    assert found == pytest.approx(at(2.435, 2.301, 2.167), abs=2e-3)


def test_two_halves_of_one_degree_are_a_cauchy_distribution_that_is_wider_by_the_root_of_two() -> None:
    found = two_sided(at(3.0, 40.0), at(0.5, 0.5), at(1.0, 1.0), at(1.0, 1.0))
    assert found == pytest.approx(1 - 2 / np.pi * np.arctan(at(3.0, 40.0) / np.sqrt(2)), rel=1e-3)


def test_it_is_what_random_numbers_say() -> None:
    rng = np.random.default_rng(0)
    drawn = abs(np.sqrt(0.3) * rng.standard_t(2, 200_000) + np.sqrt(0.7) * rng.standard_t(4.4, 200_000))
    for statistic in (1.0, 3.0, 8.0):
        found = two_sided(at(statistic), at(0.3), at(2.0), at(4.4))[0]
        assert (drawn > statistic).mean() == pytest.approx(found, abs=4 * np.sqrt(found / 200_000))


def test_it_ends_at_0_and_at_1() -> None:
    assert two_sided(at(0.0, np.inf), at(0.4, 0.4), at(3.0, 3.0), at(1e9, 1e9)) == pytest.approx(at(1.0, 0.0), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(1, 300), st.floats(1, 300), st.floats(0.001, 0.4))
def test_the_critical_value_has_the_probability_asked_for(share: float, one: float, two: float, level: float) -> None:
    found = critical(level, at(share), at(one), at(two))
    assert two_sided(found, at(share), at(one), at(two))[0] == pytest.approx(level, rel=1e-3)
    # The parts may change places.
    assert critical(level, at(1 - share), at(two), at(one)) == pytest.approx(found, rel=1e-3)
