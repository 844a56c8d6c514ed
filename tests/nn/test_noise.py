"""The noise of members: reproducible, the same in pieces and windows, standard normal, without effect at zero."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import NOISE_CARRIED, NOISE_GRID, NOISE_LEADS, NOISE_PIXELS, ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.noise import GivenNoise, Noise, View

MODEL = ForecasterConfig(height=16, width=24, channels=1, hidden=(4, 4), noise=True)
KINDS = [("advected", "motions"), ("advected", "mix"), ("unconditioned", "sigmoid"), ("autoregressive", "residual")]


def network(**changes: Any) -> EncoderForecaster:
    """A network that heeds noise, in evaluation mode."""
    torch.manual_seed(0)
    made = EncoderForecaster(dataclasses.replace(MODEL, **changes)).eval()
    with torch.no_grad():
        for weight in made.head.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return made


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize(("forecaster", "head"), KINDS)
def test_a_member_follows_from_its_seed_alone(forecaster: str, head: str) -> None:
    made, frames = network(forecaster=forecaster, head=head), torch.rand(2, 5, 1, 16, 24)
    members = made.members(frames, 6, (1, 2, 3))
    assert members.shape == (3, 2, 6, 1, 16, 24)
    assert members.std(dim=0).mean() > 1e-4
    others = made.members(frames[1:], 6, (7, 3, 1))
    torch.testing.assert_close(others[1:, 0], members[[2, 0], 1], rtol=0, atol=1e-5)
    assert not torch.equal(others[0, 0], members[0, 1])


@pytest.mark.parametrize(("forecaster", "head"), KINDS)
def test_members_are_the_same_in_pieces(forecaster: str, head: str) -> None:
    made, frames = network(forecaster=forecaster, head=head), torch.rand(2, 5, 1, 16, 24)
    whole = made.members(frames, 7, (4, 9)).flatten(0, 1)
    pieces = list(made.stream(frames, 7, chunk=3, seeds=(4, 9)))
    assert [piece.shape[1] for piece in pieces] == [3, 3, 1]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("forecaster", "head"), KINDS)
def test_noise_that_was_drawn_before_gives_the_same_forecast(forecaster: str, head: str, training: bool) -> None:
    made, frames = network(forecaster=forecaster, head=head), torch.rand(2, 5, 1, 16, 24)
    made.train(training).noise_scale.mul_(0.7)
    generators = [None, *(torch.Generator() for _ in range(5))]
    found = []
    for drawn in (False, True, True):
        for number, generator in enumerate(generators):
            if generator is not None:
                generator.manual_seed(number)
        noise = Noise(generators, 3)
        given = GivenNoise(3, noise.drawn(2, (16, 24), 4, 6)) if drawn else noise
        found.append(made(frames, 6, noise=given))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0][1], found[0][2])


@pytest.mark.parametrize(("forecaster", "head"), KINDS)
def test_without_noise_there_is_one_forecast_and_noise_of_zero_gives_it(forecaster: str, head: str) -> None:
    made, frames = network(forecaster=forecaster, head=head), torch.rand(2, 5, 1, 16, 24)
    single = made(frames, 6)
    assert single.shape == (2, 6, 1, 16, 24)
    torch.testing.assert_close(made(frames, 6, noise=Noise([None]))[0], single, rtol=0, atol=1e-5)
    made.noise_scale.zero_()
    torch.testing.assert_close(made.members(frames, 6, (1,))[0], single, rtol=0, atol=1e-5)


def test_the_amplitude_scales_noise_by_lead_time_and_holds_after_the_last() -> None:
    made, frames = network(), torch.rand(1, 5, 1, 16, 24)
    made.noise_scale[:2] = 0.0
    members, single = made.members(frames, 4, (1,))[0], made(frames, 4)
    torch.testing.assert_close(members[:, :2], single[:, :2], rtol=0, atol=1e-5)
    assert (members[:, 2] - single[:, 2]).abs().max() > 1e-4
    noise = Noise.of([1])
    carried = noise.begin(frames, 4)[:, None].expand(-1, NOISE_LEADS + 3, -1, -1, -1)
    scale = torch.linspace(0, 1.9, NOISE_LEADS)
    grid = noise.fields(carried, 4, scale).grid
    again = Noise.of([1])
    again.begin(frames, 4)
    plain = again.fields(carried, 4).grid
    torch.testing.assert_close(grid[:, -1], 1.9 * plain[:, -1])
    torch.testing.assert_close(grid[:, 5], scale[5] * plain[:, 5])


def test_fields_are_standard_normal() -> None:
    noise = Noise.of(range(8))
    frames = torch.zeros(1, 1, 1, 64, 96)
    carried = noise.begin(frames, 1)
    found = noise.fields(carried[:, None].expand(-1, 12, -1, -1, -1), 1)
    assert found.grid.shape == (8, 12, NOISE_GRID, 64, 96)
    assert found.pixels.shape == (8, 12, NOISE_PIXELS, 64, 96)
    for fields in (found.grid, found.pixels):
        local = [field for field in fields.unbind(2) if field.std(dim=(-2, -1)).min() > 0]
        assert all(abs(float(field.square().mean().sqrt()) - 1) < 0.15 for field in local)
    assert found.grid[:, 0, :4].equal(found.grid[:, 1, :4])
    assert not found.grid[:, 0, 4:8].equal(found.grid[:, 1, 4:8])


def test_a_window_sees_the_noise_of_the_whole_frame() -> None:
    whole, part = Noise.of([3]), Noise.of([3], View(32, 48, 8, 16))
    frames, window = torch.zeros(1, 1, 1, 32, 48), torch.zeros(1, 1, 1, 32, 40)
    carried = whole.begin(frames, 4)
    assert part.begin(window, 4).equal(carried)
    of_whole = whole.fields(carried[:, None], 4)
    of_part = part.fields(part.seen(carried)[:, None], 4)
    assert of_part.pixels[:, :, :1, :24, :32].equal(of_whole.pixels[:, :, :1, 8:, 16:])
    assert of_part.grid[:, :, :8, :6, :8].equal(of_whole.grid[:, :, :8, 2:, 4:])
    assert of_part.pixels[:, :, :, 24:].equal(of_part.pixels[:, :, :, 23:24].expand(-1, -1, -1, 8, -1))


def test_carried_noise_moves_with_the_frame() -> None:
    frames = torch.rand(1, 1, 1, 16, 24)
    noise = Noise.of([5])
    progress = network()._begin(frames, []).repeated(noise, 4)
    assert progress.advection is not None
    assert progress.carried is not None
    moving = progress.advection._replace(motion=torch.ones_like(progress.advection.motion))
    _, carried, _ = moving.advance(2)
    assert carried is not None
    carried = carried[:, :, -NOISE_CARRIED:]
    torch.testing.assert_close(carried[:, 0, :, 1:, 1:], progress.carried[:, :, :-1, :-1])


def test_a_network_without_noise_has_no_members() -> None:
    plain = EncoderForecaster(dataclasses.replace(MODEL, noise=False))
    with pytest.raises(UsageError, match="train one with --members 2"):
        plain.members(torch.rand(1, 3, 1, 16, 24), 2, (1,))
