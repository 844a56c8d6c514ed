import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.scoring.scores import PooledScores, Scores, score


def test_scores_are_by_lead_time() -> None:
    truth = torch.rand(2, 3, 1, 16, 16)
    forecast = truth.clone()
    forecast[:, 1] += 0.1
    scores = score(forecast, truth)
    assert scores.mse == pytest.approx([0.0, 0.01, 0.0], abs=1e-6)
    assert scores.by_lead_time("mae") == pytest.approx([0.0, 0.1, 0.0], abs=1e-6)
    assert scores.by_lead_time("psnr")[1] == pytest.approx(20.0, abs=1e-3)
    assert math.isinf(scores.by_lead_time("psnr")[0])
    assert scores.by_lead_time("ssim")[0] == pytest.approx(1.0)
    assert scores.by_lead_time("ssim")[1] < 1.0


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
        assert parts.by_lead_time(name) == pytest.approx(whole.by_lead_time(name), rel=1e-5)


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
        assert parts.by_lead_time(name) == pytest.approx(whole.by_lead_time(name), rel=1e-5)


def test_an_exact_forecast_is_still_json() -> None:
    frames = torch.zeros(1, 2, 1, 16, 16)
    text = json.dumps(score(frames, frames).to_dict(), allow_nan=False)
    assert json.loads(text)["mean"]["psnr"] is None


def test_sums_are_means_times_the_values_of_a_frame() -> None:
    forecast, truth = torch.rand(2, 3, 2, 3, 16, 20).double()
    scores = score(forecast, truth)
    squared = (forecast - truth).square().sum(dim=(2, 3, 4)).mean(dim=0)
    absolute = (forecast - truth).abs().sum(dim=(2, 3, 4)).mean(dim=0)
    assert scores.by_lead_time("mse_sum") == pytest.approx(squared.tolist(), rel=1e-5)
    assert scores.by_lead_time("mae_sum") == pytest.approx(absolute.tolist(), rel=1e-5)
    assert scores.by_lead_time("mse_sum") == pytest.approx([value * 3 * 16 * 20 for value in scores.mse])
    assert scores.overall("mse_sum") == pytest.approx(float(squared.mean()), rel=1e-5)


def test_sharpness_is_the_ratio_of_mean_gradients() -> None:
    forecast, truth = np.random.default_rng(0).random((2, 2, 3, 1, 16, 16))
    scores = score(torch.from_numpy(forecast), torch.from_numpy(truth))

    def gradient(frames: NDArray[np.float64]) -> NDArray[np.float64]:
        right, down = np.diff(frames, axis=-1)[..., :-1, :], np.diff(frames, axis=-2)[..., :-1]
        return np.asarray(np.hypot(right, down).mean(axis=(2, 3, 4)).sum(axis=0))

    assert scores.by_lead_time("sharpness") == pytest.approx((gradient(forecast) / gradient(truth)).tolist(), rel=1e-5)
    flat = torch.zeros(1, 1, 1, 16, 16)
    assert score(torch.rand(1, 1, 1, 16, 16), flat).pooled().mean["sharpness"] is None
    pooled = score(torch.from_numpy(forecast), torch.from_numpy(truth)).overall("sharpness")
    assert pooled == pytest.approx(gradient(forecast).sum() / gradient(truth).sum(), rel=1e-5)


def test_events_are_counted_by_hand() -> None:
    """Of 8 x 32 values: 3 hits, 1 miss, 2 false alarms, at a threshold that some values just reach."""
    forecast, truth = torch.zeros(2, 1, 2, 1, 16, 16)
    truth[0, 0, 0, 0, :4] = 51 / 255  # 0.2
    forecast[0, 0, 0, 0, 1:4] = 0.9
    forecast[0, 0, 0, 1, :2] = torch.tensor(51, dtype=torch.uint8).float() / 255
    scores = Scores((0.2, 0.95))
    scores.add(forecast, truth)
    assert {name: rows.tolist() for name, rows in scores.counts(0.2).items()} == {
        "hits": [[3.0, 0.0]],
        "misses": [[1.0, 0.0]],
        "false_alarms": [[2.0, 0.0]],
    }
    low, high = scores.pooled().events
    assert low.threshold == 0.2
    assert low.by_lead_time == {"csi": [0.5, None], "pod": [0.75, None], "far": [0.4, None]}
    assert low.mean == {"csi": 0.5, "pod": 0.75, "far": 0.4}
    assert high.mean == {"csi": None, "pod": None, "far": None}


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_events_and_clips_do_not_depend_on_batches(sizes: list[int]) -> None:
    forecast, truth = torch.rand(2, sum(sizes), 2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    parts, whole = Scores((0.5,)), Scores((0.5,))
    for a, b in zip(forecast.split(sizes), truth.split(sizes), strict=True):
        parts.add(a, b)
    whole.add(forecast, truth)
    assert parts.pooled().events == whole.pooled().events
    for name in ("mse", "mae", "ssim", "gradient", "true_gradient"):
        np.testing.assert_allclose(parts.per_clip(name), whole.per_clip(name), rtol=1e-5)


def test_the_scores_of_a_clip_are_those_of_the_clip_alone() -> None:
    forecast, truth = torch.rand(2, 3, 2, 1, 16, 16)
    rows = score(forecast, truth).per_clip("mse")
    assert rows[1] == pytest.approx(score(forecast[1:2], truth[1:2]).mse)


def test_clips_weigh_by_their_pixels_with_a_truth() -> None:
    """The mean over clips of the weighted scores is the pooled one; each clip's own is that of the clip alone."""
    forecast, truth = torch.rand(2, 3, 2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    there = torch.rand(truth.shape, generator=torch.Generator().manual_seed(1)) < torch.tensor([0.2, 0.9, 0.0]).view(
        3, 1, 1, 1, 1
    )
    scores = score(forecast, truth, there)
    assert scores.weighted("mse").mean(axis=0) == pytest.approx(scores.mse)
    own = scores.per_clip("mse")
    for clip in range(2):
        error = (forecast - truth)[clip, 1][there[clip, 1]].square().mean()
        assert own[clip, 1] == pytest.approx(float(error), rel=1e-5)
    assert np.isnan(own[2]).all()
    assert scores.has_truth.tolist() == [True, True, False]


def test_what_is_written_reads_back_the_same() -> None:
    scores = Scores((0.2, 0.5))
    scores.add(*torch.rand(2, 3, 2, 1, 16, 16))
    pooled = scores.pooled()
    content = json.loads(json.dumps(pooled.to_dict(), allow_nan=False))
    assert PooledScores.from_dict(content) == pooled
    assert content == scores.to_dict()


def test_the_metrics_of_a_clip_are_those_of_the_clip_alone() -> None:
    forecast, truth = torch.rand(2, 3, 2, 1, 16, 16)
    found = score(forecast, truth).of_clip(1)
    alone = score(forecast[1:2], truth[1:2])
    assert found == {name: pytest.approx(alone.by_lead_time(name)) for name in METRICS}
