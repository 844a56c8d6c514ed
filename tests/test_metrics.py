import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.baselines import persistence
from convlstm_cli.metrics import Scores, psnr, score, skill


def test_scores_are_by_lead_time() -> None:
    truth = torch.rand(2, 3, 1, 16, 16)
    forecast = truth.clone()
    forecast[:, 1] += 0.1
    scores = score(forecast, truth)
    assert scores.mse == pytest.approx([0.0, 0.01, 0.0], abs=1e-6)
    assert scores.mae == pytest.approx([0.0, 0.1, 0.0], abs=1e-6)
    assert scores.psnr[1] == pytest.approx(20.0, abs=1e-3)
    assert math.isinf(scores.psnr[0])
    assert scores.ssim[0] == pytest.approx(1.0)
    assert scores.ssim[1] < 1.0


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_any_division_into_batches_gives_the_same(sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    forecast, truth = torch.rand(2, sum(sizes), 2, 3, 16, 16, generator=generator)
    parts = Scores()
    for a, b in zip(forecast.split(sizes), truth.split(sizes), strict=True):
        parts.add(a, b)
    whole = score(forecast, truth)
    assert parts.clips == whole.clips == sum(sizes)
    for name in ("mse", "mae", "ssim"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_any_division_into_stretches_of_lead_times_gives_the_same(stretches: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    forecast, truth = torch.rand(2, 2, sum(stretches), 3, 16, 16, generator=generator)
    parts = Scores()
    for a, b in zip(forecast.split(stretches, dim=1), truth.split(stretches, dim=1), strict=True):
        parts.extend(score(a, b))
    whole = score(forecast, truth)
    assert parts.clips == whole.clips == 2
    for name in ("mse", "mae", "ssim"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-5)


def test_ssim_is_the_definition_that_is_documented() -> None:
    """Wang et al. 2004 with an 11x11 Gaussian window of σ = 1.5, from its formula in float64, one window."""
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 11, 11))
    axis = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
    cov = (window * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 0.01**2) * (2 * cov + 0.03**2)
    expected /= (mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2)
    # A picture made of the window and its mirror images has this window at its centre only.
    from torchmetrics.functional.image import structural_similarity_index_measure

    big_x, big_y = (torch.tensor(np.pad(image, 5, mode="reflect"))[None, None] for image in (x, y))
    _, full = structural_similarity_index_measure(big_x, big_y, data_range=1.0, return_full_image=True)
    assert full[0, 0, 10, 10].item() == pytest.approx(expected, abs=1e-6)


def test_psnr_and_skill() -> None:
    assert psnr(0.01) == pytest.approx(20.0)
    assert psnr(0.0) == math.inf
    assert skill(0.5, 1.0) == 0.5
    assert skill(0.0, 0.0) == 0.0
    assert skill(1.0, 0.0) == -math.inf


def test_an_exact_forecast_is_still_json() -> None:
    frames = torch.zeros(1, 2, 1, 16, 16)
    text = json.dumps(score(frames, frames).to_dict(), allow_nan=False)
    assert json.loads(text)["mean"]["psnr"] is None


def test_persistence_copies_the_last_frame_without_memory() -> None:
    frames = torch.rand(2, 4, 1, 8, 8)
    forecast = persistence(frames, 5)
    assert forecast.shape == (2, 5, 1, 8, 8)
    assert all(torch.equal(forecast[:, t], frames[:, -1]) for t in range(5))
    assert forecast.data_ptr() == frames[:, -1].data_ptr()
