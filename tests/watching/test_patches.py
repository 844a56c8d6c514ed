import pytest
import torch

from convlstm_cli.watching.patches import centre, side_of, surprise

SIDE = side_of(48, 64)


def everywhere(like: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(like, dtype=torch.bool)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (20, 30), (47, 63), (46, 1)])
def test_the_patch_around_what_is_unexpected_has_the_largest_error(row: int, column: int) -> None:
    truth = torch.zeros(1, 1, 48, 64)
    forecast = truth[None].clone()
    truth[0, 0, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 1.0
    found = surprise(forecast, forecast[0], truth, everywhere(truth)).error
    at = centre(int(found[0].argmax()), found.shape[2], SIDE)
    assert abs(at[0] - row) <= SIDE / 2
    assert abs(at[1] - column) <= SIDE / 2


def test_the_error_is_absolute_and_the_mean_of_a_patch() -> None:
    truth, forecast = torch.full((1, 3, 48, 64), 0.5), torch.full((1, 1, 3, 48, 64), 0.25)
    found = surprise(forecast, forecast[0], truth, everywhere(truth))
    torch.testing.assert_close(found.error, torch.full_like(found.error, 0.25))
    assert float(found.spread.abs().max()) == 0  # a forecast that copies leaves nothing open


def test_members_leave_open_what_they_differ_by() -> None:
    torch.manual_seed(0)
    truth = torch.zeros(1, 1, 64, 64)
    members = torch.randn(50, 1, 1, 64, 64)
    members[..., 32:] = 0.0
    found = surprise(members, truth, truth, everywhere(truth))
    assert float(found.spread[..., 0].mean()) == pytest.approx(0.564, rel=0.1)  # 1 / sqrt(pi)
    assert float(found.spread[..., -1].max()) == 0


def test_a_truth_that_is_one_of_the_members_is_as_surprising_as_they_leave_open() -> None:
    drawn = torch.randn(21, 8, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    found = surprise(drawn[1:], drawn[0], drawn[0], everywhere(drawn[0]))
    assert float(found.error.mean()) == pytest.approx(float(found.spread.mean()), rel=0.03)


def test_pixels_without_a_value_count_for_nothing() -> None:
    torch.manual_seed(0)
    truth, forecast = torch.rand(2, 1, 48, 64), torch.rand(1, 2, 1, 48, 64)
    there = torch.rand(2, 1, 48, 64) < 0.7
    there[1, :, :24] = False
    found = surprise(forecast, forecast[0], truth, there)
    other = surprise(forecast, forecast[0], torch.where(there, truth, 9.0), there)
    torch.testing.assert_close(found.error, other.error, equal_nan=True)
    assert found.error[1, 0].isnan().all()
    assert not found.error[0].isnan().any()


@pytest.mark.parametrize("size", [(16, 16), (17, 90), (64, 64), (72, 128)])
def test_every_pixel_is_in_a_patch(size: tuple[int, int]) -> None:
    for row, column in ((0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, size[1] - 1)):
        truth = torch.zeros(1, 1, *size)
        truth[0, 0, row, column] = 1.0
        zeros = torch.zeros(1, 1, 1, *size)
        assert float(surprise(zeros, zeros[0], truth, everywhere(truth)).error.max()) > 0
