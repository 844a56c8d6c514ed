"""Motion, against textures whose motion is known."""

import math

import pytest
import torch
import torch.nn.functional as F
from advected import advected
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlstm_cli.nn.motion import (
    SEARCHES,
    Advection,
    eager,
    estimate_motion,
    estimate_motions,
    past_errors,
    sample,
)
from convlstm_cli.nn.motion.reading import cubic_by_linear


def waves(positions_x: Tensor, positions_y: Tensor) -> Tensor:
    """A texture that is known at any position, in [0, 1]."""
    return (
        0.5
        + 0.2 * torch.sin(0.37 * positions_x + 0.9) * torch.cos(0.29 * positions_y)
        + 0.15 * torch.sin(0.23 * (positions_x + positions_y))
    )


def clip(right: float, down: float, steps: int = 5, height: int = 48, width: int = 40) -> Tensor:
    """(1, steps, 1, height, width) of a texture that moves so many pixels a frame."""
    rows, columns = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    return torch.stack([waves(columns - right * t, rows - down * t) for t in range(steps)])[None, :, None]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(-1.8, 1.8), st.floats(-1.8, 1.8), st.sampled_from(sorted(SEARCHES)))
def test_a_constant_motion_is_found(right: float, down: float, search: str) -> None:
    flow = estimate_motion(clip(right, down), SEARCHES[search])
    inside = flow[0, :, 12:-12, 12:-12]
    assert inside[0].mean().item() == pytest.approx(right, abs=0.2)
    assert inside[1].mean().item() == pytest.approx(down, abs=0.2)


@pytest.mark.parametrize("search", ["fine", "latest", "medium"])
def test_a_fast_thing_is_followed_at_any_size(search: str) -> None:
    """A square that crosses a still picture by 1/43 of the width a frame: many pixels where a frame has many."""
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, 32, 32, generator=random), torch.rand(1, 1, 10, 10, generator=random)
    still, thing = (F.interpolate(part, scale_factor=16, mode="bicubic")[0, 0] for part in noise)
    frames = []
    for t in range(8):
        frame = still.clone()
        frame[180:340, 12 * t + 124 : 12 * t + 284] = thing
        frames.append(frame[None])
    whole = torch.stack(frames)[None]
    for side in (64, 512):
        motion = estimate_motion(F.avg_pool2d(whole[0], 512 // side)[None], SEARCHES[search])
        middle = motion[0, :, 260 * side // 512, 288 * side // 512]
        assert middle.tolist() == pytest.approx([12 * side / 512, 0.0], abs=0.6 * side / 512)


def test_the_last_frames_count() -> None:
    """A motion that turned around four frames ago is the new one."""
    there, back = clip(1.5, 0.0), clip(-1.5, 0.0)
    flow = estimate_motion(torch.cat((there, back), dim=1))
    assert flow[0, 0, 12:-12, 12:-12].mean().item() == pytest.approx(-1.5, abs=0.15)


def test_noise_and_flat_areas_stand_still() -> None:
    """Noise of one grey value in 255, as in a camera that looks at nothing."""
    random = torch.Generator().manual_seed(0)
    noise = 0.5 + torch.randn(2, 5, 1, 32, 32, generator=random) / 255
    assert estimate_motion(noise).abs().max() < 0.05
    assert estimate_motion(torch.full((1, 4, 3, 16, 16), 0.3)).abs().max() == 0.0


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_frames(steps: int) -> None:
    flow = estimate_motion(clip(1.0, 0.0, steps=steps))
    assert flow.shape == (1, 2, 48, 40)
    assert flow[0, 0, 12:-12, 12:-12].mean().item() == pytest.approx(0.0 if steps == 1 else 1.0, abs=0.15)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (16, 33), (17, 64)])
def test_any_size_is_finite(height: int, width: int) -> None:
    flow = estimate_motion(torch.rand(2, 4, 3, height, width, generator=torch.Generator().manual_seed(0)))
    assert flow.shape == (2, 2, height, width)
    assert flow.isfinite().all()


def moving(frame: Tensor, flow: Tensor) -> Advection:
    """A frame (1, C, H, W) that has not moved yet."""
    return Advection(frame, flow, torch.zeros_like(flow))


def test_frames_are_moved_on_along_a_constant_motion() -> None:
    frames = clip(1.5, -0.5, steps=9)
    flow = torch.tensor([1.5, -0.5]).view(1, 2, 1, 1).expand(1, 2, 48, 40)
    moved, _, _ = moving(frames[:, 4], flow).advance(4)
    torch.testing.assert_close(moved[:, :, 0, :, 12:-12, 12:-12], frames[:, 5:, :, 12:-12, 12:-12], atol=0.02, rtol=0.0)


def test_what_was_seen_goes_on() -> None:
    frames = clip(1.5, -0.5, steps=9)
    forecast, _, _ = advected(frames[:, :5]).advance(4)
    error = (forecast[:, :, 0] - frames[:, 5:])[..., 12:-12, 12:-12].abs().mean()
    copied = (frames[:, 4:5] - frames[:, 5:])[..., 12:-12, 12:-12].abs().mean()
    assert error < 0.1 * copied


def test_trajectories_follow_a_turning_motion() -> None:
    """Semi-Lagrangian: about a centre a point comes back after a full turn, where straight lines would lead away."""
    side, turn = 65, 2 * math.pi / 60
    rows, columns = torch.meshgrid(torch.arange(side) - 32.0, torch.arange(side) - 32.0, indexing="ij")
    flow = turn * torch.stack((-rows, columns))[None]
    _, _, after = moving(torch.zeros(1, 1, side, side), flow).advance(60)
    assert after.source[0, :, 32, 42].norm().item() < 0.5  # ten pixels beside the centre
    assert 60 * flow[0, :, 32, 42].norm().item() > 60.0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5))
def test_an_advection_goes_on_where_it_stopped(first: int, more: int) -> None:
    generator = torch.Generator().manual_seed(0)
    start = moving(torch.rand(2, 1, 8, 9, generator=generator), torch.randn(2, 2, 8, 9, generator=generator))
    whole, _, _ = start.advance(first + more)
    one, _, later = start.advance(first)
    other, _, _ = later.advance(more)
    torch.testing.assert_close(torch.cat((one, other), dim=1), whole)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
def test_a_window_shows_its_part_of_the_whole(top: int, left: int, height: int, width: int) -> None:
    """Also of what moves in from outside; where the window reaches beyond the frame, its edge is repeated."""
    generator = torch.Generator().manual_seed(0)
    start = moving(torch.rand(1, 2, 24, 24, generator=generator), 3.0 * torch.randn(1, 2, 24, 24, generator=generator))
    whole, _, _ = start.advance(6)
    part, _, _ = start.window(top, left, height, width).advance(6)
    assert part.shape == (1, 6, 1, 2, height, width)
    inside = whole[..., top : top + height, left : left + width]
    torch.testing.assert_close(part[..., : inside.shape[-2], : inside.shape[-1]], inside)


def spot(steps: int, speed: int = 3, size: int = 48) -> Tensor:
    """(1, steps, 1, size, size) of a bright square that moves to the right before a dark background."""
    frames = torch.full((steps, size, size), 0.1)
    for step in range(steps):
        frames[step, 20:28, 2 + speed * step : 10 + speed * step] = 0.9
    return frames[None, :, None]


def test_a_thing_before_a_still_background_goes_on_where_it_is_splatted() -> None:
    """Read backward, nothing arrives where nothing moved; what lands is averaged with the background that stays."""
    clip = spot(12)
    motion = torch.zeros(1, 2, 48, 48)
    motion[:, 0, 18:30, 10:30] = 3.0  # of the square in the sixth frame, and of a few pixels around it
    seen, _, _ = Advection.starting(clip[:, 5], motion, is_splatted=True).advance(6)
    moved, splatted = ((each - clip[:, 6:]).square().mean(dim=(0, 2, 3, 4)) for each in (seen[:, :, 0], seen[:, :, 1]))
    assert splatted[-1] < 0.3 * moved[-1]
    there = seen[0, -1, :, 0, 20:28, 35:43]  # the place of the square in the last frame
    assert there[0].max() < 0.2
    assert there[1].mean() == pytest.approx(0.5, abs=1e-3)


def test_a_splat_by_whole_pixels_is_a_shift() -> None:
    image = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(1))
    motion = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1).expand(2, 2, 9, 11)
    seen, _, after = Advection.starting(image, motion, is_splatted=True).advance(2)
    assert torch.allclose(seen[:, 1, 1, :, :-4, 2:], image[..., 4:, :-2], atol=1e-5)
    assert after.lead is not None
    assert after.lead.flatten().tolist() == [2.0, 2.0]


def test_what_is_splatted_lies_between_what_lands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of whole numbers, as on CUDA, are those of floats but for rounding."""
    image = 0.2 + 0.5 * torch.rand(2, 1, 16, 12, generator=torch.Generator().manual_seed(2))
    motion = 4.0 * torch.rand(2, 4, 16, 12, generator=torch.Generator().manual_seed(3)) - 2.0
    source, lead = torch.zeros_like(motion), torch.zeros(2, 1, 1, 1)
    seen, _, _ = eager.advance(image, motion, source, 3, lead=lead, is_cubic=False)
    assert image.min() - 1e-6 <= seen.min()
    assert seen.max() <= image.max() + 1e-6
    monkeypatch.setattr(eager, "_sums_whole_numbers", lambda _: True)
    whole, _, _ = eager.advance(image, motion, source, 3, lead=lead, is_cubic=False)
    assert ((whole - seen).abs() > 1e-5).float().mean() <= 0.01  # where next to nothing lands


@pytest.mark.parametrize(("first", "more"), [(1, 3), (2, 2)])
def test_a_splat_goes_on_where_it_stopped(first: int, more: int) -> None:
    start = advected(clip(1.3, -0.7), ("latest",), is_splatted=True)
    whole, _, _ = start.advance(first + more)
    begun, _, rest = start.advance(first)
    assert torch.equal(torch.cat((begun, rest.advance(more)[0]), dim=1), whole)


def test_each_motion_carries_the_frame_on_its_own() -> None:
    frames = clip(1.5, -0.5)
    names = ("coarse", "latest")
    both, _, after = advected(frames, names).advance(3)
    for number, name in enumerate(names):
        alone, _, later = advected(frames, (name,)).advance(3)
        torch.testing.assert_close(both[:, :, number], alone[:, :, 0])
        torch.testing.assert_close(after.source[:, 2 * number : 2 * number + 2], later.source)


def test_the_latest_motion_turns_at_once_and_the_coarse_one_stays() -> None:
    there, back = clip(1.0, 0.0, steps=9), clip(-1.0, 0.0, steps=2)
    frames = torch.cat((there, back[:, 1:]), dim=1)
    frames[:, -1] = there[:, -2]  # the way back of the last step
    coarse, latest = estimate_motions(frames, ("coarse", "latest"))[0][0, :, 12:-12, 12:-12].mean(dim=(1, 2))[::2]
    assert latest.item() == pytest.approx(-1.0, abs=0.15)
    assert coarse.item() > -0.5


@pytest.mark.parametrize("is_cubic", [False, True])
def test_a_sample_at_no_distance_is_the_image_itself_and_beyond_the_edge_is_the_edge(is_cubic: bool) -> None:
    image = torch.rand(1, 2, 7, 5, generator=torch.Generator().manual_seed(0))
    here = sample(image, torch.zeros(1, 2, 7, 5), is_cubic=is_cubic)
    torch.testing.assert_close(here, image, atol=1e-5, rtol=0.0)
    there = sample(image, torch.full((1, 2, 7, 5), 100.0), is_cubic=is_cubic)
    torch.testing.assert_close(there, image[..., -1:, -1:].expand_as(image), atol=1e-5, rtol=0.0)


def test_a_cubic_sample_is_sharper() -> None:
    """Half a pixel beside a fine wave: what linear interpolation loses of it, cubic convolution keeps in part."""
    wave = torch.cos(torch.arange(24.0) * 2 * math.pi / 4).expand(1, 1, 8, 24)
    half = torch.zeros(1, 2, 8, 24)
    half[:, 0] = 0.5
    truth = torch.cos((torch.arange(24.0) + 0.5) * 2 * math.pi / 4)[4:-4]
    linear, cubic = (sample(wave, half, is_cubic=kind)[0, 0, 4, 4:-4] for kind in (False, True))
    assert (cubic - truth).abs().mean() < 0.7 * (linear - truth).abs().mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_nine_bilinear_readings_are_a_cubic_one(height: int, width: int, seed: int) -> None:
    """MPS has no cubic reading of its own."""
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, height, width, generator=random, dtype=torch.float64)
    away = 3.0 * torch.randn(2, 2, 6, 5, generator=random, dtype=torch.float64)
    x = (torch.arange(5) + away[:, 0]).clamp(0.0, width - 1.0)
    y = (torch.arange(6)[:, None] + away[:, 1]).clamp(0.0, height - 1.0)
    torch.testing.assert_close(cubic_by_linear(image, x, y), sample(image, away, is_cubic=True))


@pytest.mark.parametrize("steps", [1, 3])
def test_errors_of_the_past_tell_the_right_motion_from_others(steps: int) -> None:
    """The true motion has the least error, then no motion, then the opposite; on a still clip all are 0."""
    frames = clip(1.5, -0.5, steps=6)
    true = torch.tensor([1.5, -0.5]).view(1, 2, 1, 1).expand(1, 2, 48, 40)
    errors = past_errors(frames, torch.cat((true, torch.zeros_like(true), -true), dim=1), steps, 1.0)
    right, none, wrong, blurred, copied = errors[0, :, 12:-12, 12:-12].mean(dim=(1, 2)).tolist()
    assert right < 0.1 * none < wrong
    assert right < blurred < none
    assert none == pytest.approx(copied, rel=1e-4)
    still = frames[:, :1].expand(-1, 5, -1, -1, -1)
    assert past_errors(still, torch.zeros_like(true), steps, 1.0)[:, [0, 2]].abs().max() < 1e-6


def test_a_place_is_judged_by_its_whole_frame_too() -> None:
    """Where both motions are as wrong, the one that is right elsewhere is the better one."""
    frames = torch.cat((clip(1.5, 0.0), torch.full((1, 5, 1, 48, 40), 0.5)), dim=-1)
    true = torch.tensor([1.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 48, 80)
    right, wrong = past_errors(frames, torch.cat((true, -true), dim=1), 1, 1.0)[0, :2, 24, 70].tolist()
    assert 0.0 < right < 0.3 * wrong


@pytest.mark.parametrize("length", [1, 2, 5, 12])
def test_motions_of_the_past_are_those_of_clips_that_end_there(length: int) -> None:
    frames = clip(1.5, -0.5, steps=length)
    names = ("coarse", "latest", "fine")
    lookbacks = [lookback for lookback in (0, 1, 4) if lookback < length]
    found = estimate_motions(frames, names, lookbacks)
    assert len(found) == len(lookbacks)
    for lookback, motion in zip(lookbacks, found, strict=True):
        [alone] = estimate_motions(frames[:, : length - lookback], names)
        assert torch.allclose(motion, alone, atol=1e-5)
