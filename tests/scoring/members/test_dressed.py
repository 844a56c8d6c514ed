import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guard import origins_of
from convlstm_cli.scoring.members.dressed import dressed
from convlstm_cli.video.values import BYTES

flow = BASELINES["optical_flow"].forecast


def members(frames: Tensor, horizon: int = 5, count: int = 4, seed: int = 0) -> Tensor:
    return dressed(frames, horizon, count, seed, values=BYTES)


def blobs(clips: int, frames: int, side: int = 32, channels: int = 1) -> Tensor:
    """Smooth noise that changes from frame to frame, between 0.3 and 0.7."""
    noise = torch.rand(clips * frames, channels, side // 4, side // 4, generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(noise, (side, side), mode="bilinear")
    return 0.3 + 0.4 * smooth.view(clips, frames, channels, side, side)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_number_of_frames_gives_members_within_bounds(frames: int, channels: int) -> None:
    found = members(torch.rand(2, frames, channels, 16, 20))
    assert found.shape == (4, 2, 5, channels, 16, 20)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 1


def test_members_depend_on_their_clip_and_the_seed_alone() -> None:
    clips = blobs(3, 8)
    found = members(clips)
    torch.testing.assert_close(members(clips, count=2), found[:2])
    torch.testing.assert_close(members(clips[1:2])[:, 0], found[:, 1])
    assert torch.equal(members(clips), found)
    assert not torch.equal(members(clips, seed=1), found)
    assert not torch.equal(found[0], found[1])


def test_errors_are_those_of_the_hindcasts_as_whole_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlstm_cli.scoring.past_errors.SHIFT", 0.0)
    clip = blobs(1, 8)
    base = flow(clip, 2)
    added = members(clip, horizon=2, count=12) - base
    past = [(clip[:, at:] - flow(clip[:, :at], 8 - at))[:, :2] for at in origins_of(8)]
    distances = torch.stack([(added - error).abs().amax(dim=(1, 2, 3, 4, 5)) for error in past])
    assert distances.amin(dim=0).max() < 1e-6
    assert set(distances.argmin(dim=0).tolist()) == {0, 1, 2}  # each origin is drawn


def test_shifted_errors_are_as_large_as_those_of_the_hindcasts() -> None:
    clip = blobs(1, 8, side=64)
    base = flow(clip, 2)
    past = torch.stack([(clip[:, at:] - flow(clip[:, :at], 8 - at))[:, :2] for at in origins_of(8)])
    ratio = (members(clip, horizon=2, count=30) - base).square().mean() / past.square().mean()
    assert 0.8 < ratio < 1.25


def test_errors_go_on_growing_beyond_the_longest_hindcast() -> None:
    """The forecasts of a square that speeds up err the more, the further ahead."""
    clip = torch.zeros(1, 8, 1, 48, 48)
    for t in range(8):
        at = t * t // 3
        clip[0, t, 0, 16:32, 2 + at : 14 + at] = 0.5
    spread = (members(clip, horizon=8, count=20) - flow(clip, 8)).square().mean(dim=(0, 1, 3, 4, 5)).sqrt()
    longest = 8 - origins_of(8)[0]
    assert (spread[longest:] >= spread[longest - 1] * 0.999).all()
    assert spread[-1] > 1.2 * spread[longest - 1]
    assert spread[-1] > 1.5 * spread[0]


def test_a_clip_that_optical_flow_forecasts_exactly_has_no_spread() -> None:
    still = torch.rand(1, 1, 1, 16, 16).expand(-1, 8, -1, -1, -1)
    assert torch.equal(members(still), still[:, :5].expand(4, -1, -1, -1, -1, -1))
