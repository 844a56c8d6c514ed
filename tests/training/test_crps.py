"""The loss of members: the almost fair CRPS against its double sum, and what it rewards."""

import pytest
import torch

from convlstm_cli.training.crps import ALPHA, almost_fair_crps, members_loss


def test_it_is_the_double_sum_of_the_paper() -> None:
    torch.manual_seed(0)
    members, truth = torch.rand(4, 2, 3, 1, 5, 6, dtype=torch.float64), torch.rand(2, 3, 1, 5, 6, dtype=torch.float64)
    count, epsilon = 4, (1 - ALPHA) / 4
    pairs = sum((members[i] - members[j]).abs() for i in range(count) for j in range(count))
    expected = (members - truth).abs().mean(dim=0) - (1 - epsilon) * pairs / (2 * count * (count - 1))
    torch.testing.assert_close(almost_fair_crps(members, truth), expected.mean(dim=(2, 3, 4)))


def test_members_that_are_equal_have_the_absolute_error() -> None:
    truth = torch.rand(2, 3, 1, 8, 8)
    one = torch.rand(2, 3, 1, 8, 8)
    torch.testing.assert_close(
        almost_fair_crps(torch.stack((one, one)), truth), (one - truth).abs().mean(dim=(2, 3, 4))
    )


def test_draws_of_the_distribution_of_the_truth_score_best() -> None:
    """The fair score is proper: no other spread or place has a lower mean."""
    torch.manual_seed(0)
    truth = torch.randn(400, 8, 1, 8, 8)

    def mean(spread: float, shift: float = 0.0) -> float:
        return float(almost_fair_crps(spread * torch.randn(2, *truth.shape) + shift, truth).mean())

    right = mean(1.0)
    assert right < min(mean(0.8), mean(1.25), mean(1.0, 0.2))


def test_members_that_are_right_together_beat_those_that_are_right_pixel_by_pixel() -> None:
    """A sheet that is bright or dark as a whole: salt and pepper has the same pixels and another look."""
    torch.manual_seed(0)
    sheets = torch.randint(0, 2, (3, 64, 2, 1, 1, 1)).float().expand(-1, -1, -1, -1, 16, 16)
    grains = torch.randint(0, 2, (2, 64, 2, 1, 16, 16)).float()
    truth, last = sheets[0], torch.full((64, 1, 1, 16, 16), 0.5)
    pixels = [float(almost_fair_crps(members, truth).mean()) for members in (sheets[1:], grains)]
    assert pixels[0] == pytest.approx(pixels[1], abs=0.1)
    assert members_loss(sheets[1:], truth, last) < 0.7 * members_loss(grains, truth, last)


def test_missing_pixels_count_for_nothing() -> None:
    torch.manual_seed(0)
    members, truth = torch.rand(2, 3, 4, 1, 16, 16), torch.rand(3, 4, 1, 16, 16)
    last, there = torch.rand(3, 1, 1, 16, 16), torch.rand(3, 4, 1, 16, 16) < 0.5
    found = members_loss(members, truth, last, there)
    changed = torch.where(there, truth, torch.rand_like(truth))
    torch.testing.assert_close(members_loss(members, changed, last, there), found)
    everywhere = members_loss(members, truth, last)
    torch.testing.assert_close(members_loss(members, truth, last, torch.ones_like(there)), everywhere)
    assert 0.5 * everywhere < found < 2 * everywhere


def test_clips_count_by_their_own_known_pixels() -> None:
    """The loss of a batch is the mean of those of its clips, however many of their pixels are missing."""
    torch.manual_seed(0)
    members, truth = torch.rand(2, 2, 3, 1, 16, 16), torch.rand(2, 3, 1, 16, 16)
    last, there = (
        torch.rand(2, 1, 1, 16, 16),
        torch.rand(2, 3, 1, 16, 16) < torch.tensor([0.9, 0.3]).view(2, 1, 1, 1, 1),
    )
    together = members_loss(members, truth, last, there)
    single = [members_loss(members[:, [at]], truth[[at]], last[[at]], there[[at]]) for at in (0, 1)]
    torch.testing.assert_close(together, sum(single) / 2)


def test_the_error_of_copying_is_that_of_known_pixels() -> None:
    """A still scene has none, also where other pixels are missing at other lead times."""
    truth = torch.rand(1, 1, 1, 16, 16).expand(-1, 3, -1, -1, -1)
    there = torch.ones(1, 3, 1, 16, 16, dtype=torch.bool)
    there[:, 1:, ..., :8] = False
    members = torch.stack((truth + 0.1, truth + 0.1))
    partly, whole = (members_loss(members, truth, truth[:, :1], known) for known in (there, torch.ones_like(there)))
    assert float(partly) == pytest.approx(float(whole), rel=0.2)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1), (2, 1, 3, 5, 7), (1, 3, 1, 8, 2)])
def test_it_takes_frames_of_any_size_and_clips_of_any_length(shape: tuple[int, ...]) -> None:
    members = torch.rand(2, *shape).requires_grad_()
    loss = members_loss(members, torch.rand(shape), torch.rand(shape)[:, :1])
    loss.backward()  # type: ignore[no-untyped-call]
    assert members.grad is not None
    assert loss.isfinite()
    assert members.grad.isfinite().all()
