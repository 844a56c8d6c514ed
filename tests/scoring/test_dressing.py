"""Members dressed with past errors: as far as their spread leaves errors open, and without a change of their mean."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from convlstm_cli.compute.device import choose
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.dressing import Dressing
from convlstm_cli.scoring.past_errors import PastErrors

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


def test_members_without_spread_get_whole_errors_and_keep_their_mean() -> None:
    model, frames = network(), flicker(2, 0.05)
    dressing = Dressing.check([model], frames, COMPUTE)
    assert dressing is not None
    assert dressing.origins == (4, 5, 6)
    torch.testing.assert_close(dressing.share, torch.ones(2, dtype=torch.float64), atol=0.02, rtol=0)
    members = forecast_members([model], frames, 5, COMPUTE, members=12)
    dressed = torch.stack([dressing.add(piece, member, 0) for member, piece in enumerate(members)])
    torch.testing.assert_close(dressed.mean(dim=0), members.mean(dim=0), atol=1e-5, rtol=0)
    error = (frames[:, 1:] - frames[:, :-1]).square().mean().sqrt()
    assert dressed.std(dim=0).square().mean().sqrt() == pytest.approx(float(error), rel=0.15)


def test_a_spread_that_explains_the_errors_stays_as_it_is() -> None:
    """As much noise in members as in the frames: nothing is left to add; half of it leaves three quarters of the
    variance."""
    model, frames = network(noise_weight=3.0), flicker(1, 1e-4)
    members = forecast_members([model], frames, 4, COMPUTE, members=16)
    spread = float(members.std(dim=0).square().mean().sqrt())
    alike = Dressing.check([model], flicker(1, spread), COMPUTE)
    wilder = Dressing.check([model], flicker(1, 4 * spread), COMPUTE)
    still = Dressing.check([model], flicker(1, 0.0), COMPUTE)
    assert alike is not None
    assert wilder is not None
    assert still is not None
    assert float(still.share) == 0
    assert float(alike.share) < float(wilder.share) < 1
    assert float(wilder.share) > 0.9


def test_a_clip_whose_future_is_known_exactly_stays_exact() -> None:
    model, frames = network(), torch.full((1, 8, 1, 32, 32), 0.25)
    dressing = Dressing.check([model], frames, COMPUTE)
    assert dressing is not None
    piece = torch.full((1, 3, 1, 32, 32), 0.25)
    assert torch.equal(dressing.add(piece, 1, 0), piece)


def test_too_few_frames_leave_nothing_to_check() -> None:
    assert Dressing.check([network()], flicker(1, 0.1, frames=3), COMPUTE) is None


def test_a_member_is_the_same_in_pieces_and_beside_others() -> None:
    model, frames = network(noise_weight=1.0), flicker(3, 0.1)
    dressing, alone = Dressing.check([model], frames, COMPUTE), Dressing.check([model], frames[1:2], COMPUTE)
    assert dressing is not None
    assert alone is not None
    piece = torch.full((3, 9, 1, 32, 32), 0.5)
    whole = dressing.add(piece, 3, 7)
    parts = torch.cat([dressing.add(piece[:, at : at + 4], 3, 7, at) for at in (0, 4, 8)], dim=1)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(alone.add(piece[1:2], 3, 7), whole[1:2])
    assert not torch.equal(dressing.add(piece, 3, 8), whole)
    opposite = dressing.add(piece, 2, 7)
    torch.testing.assert_close(opposite - 0.5, 0.5 - whole)


def test_missing_pixels_have_no_error() -> None:
    model = network(mask=True)
    frames = torch.cat((flicker(1, 0.1), torch.ones(1, 8, 1, 32, 32)), dim=2)
    frames[..., 1, :16, :] = 0.0
    dressing = Dressing.check([model], frames, COMPUTE)
    assert dressing is not None
    assert all(field[..., :16, :].abs().max() == 0 for field in dressing.errors.fields)
    assert all(field[..., 16:, :].abs().max() > 0.1 for field in dressing.errors.fields)
    assert float(dressing.share) == pytest.approx(1.0, abs=0.02)


def test_errors_of_small_frames_are_enlarged() -> None:
    dressing = Dressing.check([network()], flicker(1, 0.1), COMPUTE)
    assert dressing is not None
    large = dressing.resized(64, 96)
    assert large.add(torch.full((1, 2, 1, 64, 96), 0.5), 0, 0).shape == (1, 2, 1, 64, 96)
    assert dressing.resized(32, 32) is dressing


def test_errors_go_on_growing_as_they_grew() -> None:
    ramp = torch.arange(1, 5).view(1, 4, 1, 1, 1) * 0.1 * torch.ones(1, 4, 1, 8, 8)
    errors = PastErrors.of([ramp])
    found = errors.at(errors.draw(0), 0, 10)[0, :, 0, 4, 4]
    torch.testing.assert_close(found[:4], ramp[0, :, 0, 0, 0])
    torch.testing.assert_close(found[4:8], torch.arange(5, 9) * 0.1, rtol=1e-4, atol=0)
    assert (found[8:] == found[7]).all()
