import numpy as np
import pytest
import torch
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES, Baseline

persistence, linear_trend, optical_flow = (
    BASELINES[name].forecast for name in ("persistence", "linear_trend", "optical_flow")
)


def translating(height: int, width: int, frames: int, down: float, right: float, channels: int = 1) -> Tensor:
    """(1, frames, channels, height, width): a smooth texture without borders that moves over the frame."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width].astype(float)
    video = np.full((frames, channels, height, width), 0.5)
    for _ in range(24):
        across, along = rng.uniform(-0.5, 0.5, 2)
        phase, weights = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1, channels) * 0.06
        for t in range(frames):
            wave = np.sin(across * (rows - down * t) + along * (columns - right * t) + phase)
            video[t] += weights[:, None, None] * wave
    return torch.from_numpy(video.clip(0, 1)).float()[None]


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
@pytest.mark.parametrize("frames", [1, 2, 3, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_number_of_frames_gives_any_horizon_within_bounds(baseline: Baseline, frames: int, channels: int) -> None:
    clip = torch.rand(2, frames, channels, 16, 20)
    forecast = baseline.forecast(clip, 5)
    assert forecast.shape == (2, 5, channels, 16, 20)
    assert forecast.dtype == clip.dtype
    assert forecast.min() >= 0
    assert forecast.max() <= 1
    if frames == 1:
        torch.testing.assert_close(forecast, persistence(clip, 5))
    alone = torch.cat([baseline.forecast(clip[i : i + 1], 5) for i in range(2)])
    torch.testing.assert_close(forecast, alone)  # a batch is its clips


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_a_still_video_stays_as_it_is(baseline: Baseline) -> None:
    clip = torch.rand(1, 1, 3, 24, 24).expand(-1, 6, -1, -1, -1)
    forecast = baseline.forecast(clip, 4)
    assert (forecast - clip[:, :4]).abs().max() < 1e-6
    if baseline.name != "linear_trend":
        assert torch.equal(forecast, clip[:, :4])


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("chunk", [1, 3, 7, 9])
def test_pieces_are_the_whole(baseline: Baseline, frames: int, chunk: int) -> None:
    clip = translating(16, 20, frames, 1.0, -0.5)
    pieces = list(baseline.stream(clip, 7, chunk))
    assert [piece.shape[1] for piece in pieces] == [min(chunk, 7 - first) for first in range(0, 7, chunk)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), baseline.forecast(clip, 7))


def test_no_two_baselines_are_called_the_same() -> None:
    """Columns, legends and arms of comparisons are found by these words."""
    for word in ("name", "label", "phrase", "heading"):
        assert len({getattr(baseline, word) for baseline in BASELINES.values()}) == len(BASELINES)
    assert all(" " not in baseline.heading for baseline in BASELINES.values())


def test_persistence_takes_the_memory_of_one_frame() -> None:
    frames = torch.rand(2, 4, 1, 8, 8)
    forecast = persistence(frames, 5)
    assert forecast.shape == (2, 5, 1, 8, 8)
    assert all(torch.equal(forecast[:, t], frames[:, -1]) for t in range(5))
    assert forecast.untyped_storage().nbytes() == frames[:, -1].numel() * 4


def test_a_ramp_goes_on_exactly_and_stops_at_the_bounds() -> None:
    slope = torch.linspace(-0.01, 0.01, 128).view(1, 1, 2, 8, 8)
    times = torch.arange(12).view(1, -1, 1, 1, 1)
    ramp = 0.5 + slope * times
    torch.testing.assert_close(linear_trend(ramp[:, :5], 7), ramp[:, 5:], rtol=0, atol=1e-5)
    far = linear_trend(0.5 + 0.01 * slope.sign() * times, 400)[:, -1:]
    assert torch.equal(far, (slope > 0).float())


def test_the_trend_is_the_least_squares_line() -> None:
    values = np.random.default_rng(0).uniform(0.4, 0.6, (6, 3))
    clip = torch.from_numpy(values).reshape(1, 6, 1, 1, 3)
    slope, intercept = np.polyfit(np.arange(6), values, 1)
    expected = slope * np.arange(6, 9)[:, None] + intercept
    np.testing.assert_allclose(linear_trend(clip, 3).reshape(3, 3), expected.clip(0, 1), atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 96), (48, 40)])
@pytest.mark.parametrize(("down", "right"), [(1.0, 2.0), (-1.5, 0.5)])
def test_flow_continues_a_moving_texture(height: int, width: int, down: float, right: float) -> None:
    video = translating(height, width, 8, down, right)
    forecast, truth, copied = optical_flow(video[:, :4], 4), video[:, 4:], persistence(video[:, :4], 4)
    inner = (..., slice(height // 4, -height // 4), slice(width // 4, -width // 4))
    first = (slice(None), slice(0, 2))  # later, what comes in from outside has reached the inner part of small frames
    error = (forecast - truth)[first][inner].square().mean()
    assert error < 0.02 * (copied - truth)[first][inner].square().mean()


def test_flow_moves_colours_together() -> None:
    video = translating(48, 48, 7, 1.0, -2.0, channels=3)
    forecast, truth = optical_flow(video[:, :4], 3), video[:, 4:]
    assert (forecast - truth)[..., 12:-12, 12:-12].abs().max() < 0.03


def test_what_comes_in_is_the_edge_repeated() -> None:
    """A texture that moves right by whole pixels leaves its first column behind."""
    video = translating(32, 32, 4, 0.0, 2.0)
    forecast = optical_flow(video, 3)
    torch.testing.assert_close(
        forecast[..., 8:24, 0], video[:, -1:, ..., 8:24, 0].expand(-1, 3, -1, -1), atol=0.05, rtol=0
    )


def test_flow_takes_frames_below_what_opencv_takes_and_large_ones() -> None:
    assert optical_flow(torch.rand(1, 3, 1, 4, 7), 2).shape == (1, 2, 1, 4, 7)
    assert optical_flow(torch.rand(1, 2, 1, 16, 2048), 1).shape == (1, 1, 1, 16, 2048)


def test_flow_reads_the_last_frame_only_once() -> None:
    """Whole-pixel motion keeps the frame's values at any lead time; repeated interpolation would blur them."""
    video = translating(64, 64, 12, 0.0, 1.0)
    forecast, truth = optical_flow(video[:, :4], 8), video[:, 4:]
    inner = (..., slice(16, 48), slice(24, 48))
    ratio = forecast[inner].std(dim=(2, 3, 4)) / truth[inner].std(dim=(2, 3, 4))
    assert (ratio - 1).abs().max() < 0.05
