import pytest
import torch

from convlstm_cli.scoring.members.fair_crps import fair_crps
from convlstm_cli.scoring.members.fair_energy import fair_energy


@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_double_sum_over_pixels_with_a_truth(masked: bool) -> None:
    members, truth = torch.rand(4, 3, 2, 5, 6).double(), torch.rand(3, 2, 5, 6).double()
    valid = torch.rand(truth.shape) < 0.6 if masked else None
    found = fair_energy(members, truth, valid)
    for clip in range(3):
        there = torch.ones(2, 5, 6, dtype=torch.bool) if valid is None else valid[clip]

        def distance(one: torch.Tensor, other: torch.Tensor, there: torch.Tensor = there) -> float:
            return float((one - other)[there].square().mean().sqrt())

        frames = members[:, clip]
        error = sum(distance(frame, truth[clip]) for frame in frames) / 4
        pairs = sum(distance(one, other) for one in frames for other in frames)
        assert float(found[clip]) == pytest.approx(error - pairs / (2 * 4 * 3))


def test_of_frames_of_one_pixel_it_is_the_crps() -> None:
    members, truth = torch.rand(5, 7, 1, 1, 1).double(), torch.rand(7, 1, 1, 1).double()
    torch.testing.assert_close(fair_energy(members, truth), fair_crps(members, truth)[:, 0, 0, 0])


def test_that_of_a_single_forecast_is_its_root_mean_squared_error() -> None:
    member, truth = torch.rand(2, 3, 1, 8, 8).double()
    torch.testing.assert_close(fair_energy(member[None], truth), (member - truth).square().mean(dim=(1, 2, 3)).sqrt())


def test_it_sees_that_pixels_belong_together_and_the_crps_does_not() -> None:
    """The truth is one number in the whole frame; members that draw each pixel apart have its distribution too."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(400, 1, 1, 1, generator=generator).expand(-1, 1, 4, 4)
    together = torch.randn(8, 400, 1, 1, 1, generator=generator).expand(-1, -1, 1, 4, 4)
    apart = torch.randn(8, 400, 1, 4, 4, generator=generator)
    crps = [float(fair_crps(each, truth).mean()) for each in (together, apart)]
    assert crps[0] == pytest.approx(crps[1], abs=0.05)
    assert float(fair_energy(together, truth).mean()) < float(fair_energy(apart, truth).mean()) - 0.05


def test_a_frame_without_a_truth_has_no_energy() -> None:
    valid = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    assert fair_energy(torch.rand(3, 1, 1, 4, 4), torch.rand(1, 1, 4, 4), valid).tolist() == [0.0]
