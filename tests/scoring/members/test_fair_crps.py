import pytest
import torch

from convlstm_cli.scoring.members.fair_crps import fair_crps


@pytest.mark.parametrize("count", [2, 3, 7])
def test_it_is_the_double_sum(count: int) -> None:
    members, truth = torch.rand(count, 4, 5).double(), torch.rand(4, 5).double()
    members[: count // 2 + 1, 0] = 0.0  # equal members
    pairs = sum((one - other).abs() for one in members for other in members)
    expected = (members - truth).abs().mean(dim=0) - pairs / (2 * count * (count - 1))
    torch.testing.assert_close(fair_crps(members, truth), expected)


def test_that_of_a_single_forecast_is_its_absolute_error() -> None:
    member, truth = torch.rand(2, 4, 5)
    torch.testing.assert_close(fair_crps(member[None], truth), (member - truth).abs())


def test_its_expectation_does_not_depend_on_the_number_of_members() -> None:
    """That of standard normal members and truth is 1/√π, the CRPS of their distribution (Gneiting & Raftery 2007)."""
    drawn = torch.randn(21, 200_000, generator=torch.Generator().manual_seed(0))
    for count in (2, 5, 20):
        assert float(fair_crps(drawn[1 : count + 1], drawn[0]).mean()) == pytest.approx(0.5642, abs=0.006)


def test_members_that_agree_too_much_or_too_little_are_worse() -> None:
    drawn = torch.randn(11, 50_000, generator=torch.Generator().manual_seed(0))
    scores = [float(fair_crps(scale * drawn[1:], drawn[0]).mean()) for scale in (0.5, 1.0, 1.5)]
    assert scores[1] < min(scores[0], scores[2])
