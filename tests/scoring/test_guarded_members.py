"""Members under the guard: their mean is mixed, and they get past errors as far as their spread leaves errors open."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.compute.device import choose
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import BASELINES, pair_motions
from convlstm_cli.scoring.guarded_members import LEAST_SHARE, GuardedMembers, _share
from convlstm_cli.scoring.past_errors import Draw, PastErrors
from convlstm_cli.scoring.systems import MODEL

COMPUTE = choose("cpu")


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def network(noise_weight: float = 0.0, **changes: Any) -> EncoderForecaster:
    """A network that copies the last frame, but for noise of single pixels by this much."""
    torch.manual_seed(0)
    config: dict[str, Any] = {"height": 32, "width": 32, "channels": 1, "hidden": (4,), "noise": True, **changes}
    made = EncoderForecaster(ForecasterConfig(forecaster="unconditioned", head="residual", patch_size=1, **config))
    for weight in made.encoder.parameters():
        weight.zero_()
    kernel = made.get_parameter("forecaster.0.weight_ih").zero_()
    kernel[8:12, 4] = noise_weight  # the candidate, of the white field
    made.head.conv.weight.fill_(0.05)
    made.head.conv.bias.zero_()  # type: ignore[union-attr]
    return made.eval()


def flicker(clips: int, size: float, frames: int = 8) -> Tensor:
    """Grey frames with independent noise of a standard deviation."""
    drawn = torch.randn(clips, frames, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    return 0.5 + size * drawn


def test_members_without_spread_get_whole_errors_and_have_the_mean_of_the_guard() -> None:
    model, frames = network(), flicker(1, 0.05)
    guarded = GuardedMembers.check([model], frames, COMPUTE)
    assert guarded is not None
    assert guarded.guard.origins == (4, 5, 6)
    assert float(guarded.share) == pytest.approx(1.0, abs=0.02)
    members = forecast_members([model], frames, 5, COMPUTE, members=12)
    found = guarded.whole(members, frames, 0)
    others = {name: baseline.forecast(frames, 5) for name, baseline in BASELINES.items()}
    mixed = guarded.guard.mix({MODEL: members.mean(dim=0), **others})
    torch.testing.assert_close(found.mean(dim=0), mixed, atol=1e-5, rtol=0)
    left = torch.stack([field.square().mean() for field in guarded.errors.fields]).mean().sqrt()
    assert found.std(dim=0).square().mean().sqrt() == pytest.approx(float(left), rel=0.15)


def test_the_share_is_the_error_that_the_spread_leaves_open() -> None:
    """Of four clips: all of it, a quarter of the variance, less than the least, and no error at all."""
    error = torch.tensor([[1.0, 2.0]] * 3 + [[0.0, 0.0]], dtype=torch.float64)
    variance = 8 / 9 * error * torch.tensor([0.0, 0.25, 0.9, 1.0]).view(4, 1)
    origins = [torch.stack((variance, error)), torch.stack((variance, error))[:, :, :1]]
    expected = torch.tensor([1.0, 0.75**0.5, LEAST_SHARE, LEAST_SHARE], dtype=torch.float64)
    torch.testing.assert_close(_share(origins, 8, LEAST_SHARE), expected)
    assert _share(origins, 8, 0.0)[2] == pytest.approx(0.1**0.5)


def test_a_calibrated_network_needs_no_least_share() -> None:
    made, still = network(), torch.full((1, 8, 1, 32, 32), 0.25)
    shares = []
    for amplitude in (1.0, 1.5):
        made.noise_scale.fill_(amplitude)
        guarded = GuardedMembers.check([made], still, COMPUTE)
        assert guarded is not None
        shares.append(float(guarded.share))
    assert shares == [pytest.approx(LEAST_SHARE), 0.0]


def test_a_clip_whose_future_is_known_exactly_stays_exact() -> None:
    model, frames = network(), torch.full((1, 8, 1, 32, 32), 0.25)
    guarded = GuardedMembers.check([model], frames, COMPUTE)
    assert guarded is not None
    piece = torch.full((1, 3, 1, 32, 32), 0.25)
    assert torch.equal(guarded.dress(piece, 1, 0), piece)


def test_too_few_frames_leave_nothing_to_check() -> None:
    assert GuardedMembers.check([network()], flicker(1, 0.1, frames=3), COMPUTE) is None


def test_a_member_is_the_same_in_pieces_and_beside_others() -> None:
    model, frames = network(noise_weight=1.0), flicker(3, 0.1)
    guarded, alone = GuardedMembers.check([model], frames, COMPUTE), GuardedMembers.check([model], frames[1:2], COMPUTE)
    assert guarded is not None
    assert alone is not None
    piece = torch.full((3, 9, 1, 32, 32), 0.5)
    whole = guarded.dress(piece, 3, 7)
    parts = torch.cat([guarded.dress(piece[:, at : at + 4], 3, 7, at) for at in (0, 4, 8)], dim=1)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(alone.dress(piece[1:2], 3, 7), whole[1:2])
    assert not torch.equal(guarded.dress(piece, 3, 8), whole)
    opposite = guarded.dress(piece, 2, 7)
    torch.testing.assert_close(opposite - 0.5, 0.5 - whole)


def test_missing_pixels_have_no_error() -> None:
    model = network(mask=True)
    frames = torch.cat((flicker(1, 0.1), torch.ones(1, 8, 1, 32, 32)), dim=2)
    frames[..., 1, :16, :] = 0.0
    guarded = GuardedMembers.check([model], frames, COMPUTE)
    assert guarded is not None
    assert all(field[..., :16, :].abs().max() == 0 for field in guarded.errors.fields)
    assert all(field[..., 16:, :].abs().max() > 0.1 for field in guarded.errors.fields)
    assert float(guarded.share) == pytest.approx(1.0, abs=0.02)


def test_each_baseline_forecasts_each_hindcast_once(monkeypatch: pytest.MonkeyPatch) -> None:
    flows = []

    def counted(clip: Tensor) -> Tensor:
        flows.append(len(clip))
        return pair_motions(clip)

    monkeypatch.setattr("convlstm_cli.scoring.baselines.pair_motions", counted)
    guarded = GuardedMembers.check([network()], flicker(1, 0.1), COMPUTE)
    assert guarded is not None
    assert len(flows) == len(guarded.guard.origins) == 3


def test_errors_of_small_frames_are_enlarged_when_they_are_drawn() -> None:
    """So that what is held does not grow with the frames; the pieces join, within and beyond the hindcasts."""
    guarded = GuardedMembers.check([network()], flicker(1, 0.1), COMPUTE)
    assert guarded is not None
    large, grey = guarded.resized(64, 96), torch.full((1, 6, 1, 64, 96), 0.5)
    assert all(field.shape[-2:] == (32, 32) for field in large.errors.fields)
    draw = Draw(hindcast=0, down=0, right=0)
    found, kept = large.errors.at(draw, 0, 6), guarded.errors.at(draw, 0, 6)
    torch.testing.assert_close(found, F.interpolate(kept[0], (64, 96), mode="bilinear")[None])
    assert found[0, 5].abs().max() > 0.05
    parts = [large.dress(grey[:, at : at + 2], 0, 0, at) for at in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts, dim=1), large.dress(grey, 0, 0))


def test_errors_go_on_growing_as_they_grew() -> None:
    ramp = torch.arange(1, 5).view(1, 4, 1, 1, 1) * 0.1 * torch.ones(1, 4, 1, 8, 8)
    errors = PastErrors.of([ramp])
    found = errors.at(errors.draw(0), 0, 10)[0, :, 0, 4, 4]
    torch.testing.assert_close(found[:4], ramp[0, :, 0, 0, 0])
    torch.testing.assert_close(found[4:8], torch.arange(5, 9) * 0.1, rtol=1e-4, atol=0)
    assert (found[8:] == found[7]).all()
