"""The sentences of an evaluation stand in test_views.py, where they are shown."""

import pytest

from convlstm_cli.reporting.wording import decimals, ranges


@pytest.mark.parametrize(
    ("numbers", "words"), [([], ""), ([7], "7"), ([1, 2, 3, 7], "1 to 3, 7"), ([2, 4, 5], "2, 4 to 5")]
)
def test_numbers_in_a_row_are_a_range(numbers: list[int], words: str) -> None:
    assert ranges(numbers) == words


@pytest.mark.parametrize(("least", "digits"), [(0.02, 5), (4e-6, 7), (1e-12, 8), (0.0, 5)])
def test_small_errors_have_more_decimals(least: float, digits: int) -> None:
    assert decimals("mse", {"a": {"mean": {"mse": least}}, "b": {"mean": {"mse": least and 1.0}}}) == digits
    assert decimals("ssim", {"a": {"mean": {"ssim": least}}}) == 3
