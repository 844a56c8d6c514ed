import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from convlstm_cli.scoring.formulae import psnr, skill
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS, Metric, columns_of, definitions
from convlstm_cli.scoring.scores import Scores, score
from convlstm_cli.video.tensors import clip_tensor
from convlstm_cli.video.values import ValueRange


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
    big_x, big_y = (torch.tensor(np.pad(image, 5, mode="reflect"))[None, None] for image in (x, y))
    _, full = structural_similarity_index_measure(big_x, big_y, data_range=1.0, return_full_image=True)
    assert isinstance(full, Tensor)
    assert full[0, 0, 10, 10].item() == pytest.approx(expected, abs=1e-6)


def test_psnr_and_skill() -> None:
    assert psnr(0.01) == pytest.approx(20.0)
    assert psnr(0.0) == math.inf
    assert skill(0.5, 1.0) == 0.5
    assert skill(0.0, 0.0) == 0.0
    assert skill(1.0, 0.0) == -math.inf


def test_every_metric_is_within_its_bounds_and_defined() -> None:
    """The forecasts are exact, near, unlike the truth, and its opposite."""
    truth = torch.rand(4, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    forecast = torch.stack((truth[0], truth[1] * 0.99, torch.rand_like(truth[2]), 1 - truth[3]))
    scores = Scores((0.5,))
    scores.add(forecast, truth)
    pooled = scores.pooled()
    for registry, values in ((METRICS, pooled.mean), (EVENT_METRICS, pooled.events[0].mean)):
        assert list(values) == list(registry)
        for name, metric in registry.items():
            value = values[name]
            assert value is not None
            assert metric.bounds[0] <= value <= metric.bounds[1]
    assert list(definitions()) == [*METRICS, *EVENT_METRICS, "mean"]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_smaller_is_better_for_errors_and_only_for_them(metric: Metric) -> None:
    """Blur and noise make each metric worse, except that noise counts as sharp."""
    truth = torch.rand(2, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    near, far = (truth + strength * (truth.mean() - truth) for strength in (0.1, 0.6))
    better, worse = (score(forecast, truth).overall(metric.name) for forecast in (near, far))
    assert (better < worse) == metric.smaller_is_better


def test_a_column_that_metrics_share_is_measured_once() -> None:
    assert list(columns_of(METRICS)) == ["mse", "mae", "bias", "ssim", "gradient", "true_gradient"]
    shared = [column for metric in METRICS.values() for column in metric.columns if column.name == "mse"]
    assert len(shared) == 3
    assert len(set(map(id, shared))) == 1


def test_pixels_without_truth_count_in_no_metric() -> None:
    generator = torch.Generator().manual_seed(0)
    truth, forecast = torch.rand(2, 3, 2, 1, 24, 24, generator=generator)
    there = torch.ones(truth.shape, dtype=torch.bool)
    there[..., 12:] = False
    there[1, 1] = False
    whole, other = Scores((0.5,)), Scores((0.5,))
    whole.add(forecast, truth, there)
    other.add(torch.where(there, forecast, 0.9), torch.where(there, truth, 0.1), there)
    assert whole.pooled() == other.pooled()
    half = score(forecast[..., :12], truth[..., :12])
    errors = torch.stack([(forecast - truth)[0, 1, :, :, :12], (forecast - truth)[2, 1, :, :, :12]]).square()
    assert whole.by_lead_time("mse") == pytest.approx([half.by_lead_time("mse")[0], float(errors.mean())], rel=1e-5)
    assert whole.overall("ssim") < 0.2  # what is not there is not taken for alike
    everywhere, plain = Scores((0.5,)), Scores((0.5,))
    everywhere.add(forecast, truth, torch.ones_like(there))
    plain.add(forecast, truth)
    assert everywhere.pooled().mean == pytest.approx(plain.pooled().mean, rel=1e-5)
    nothing = score(forecast, truth, torch.zeros_like(there))
    assert nothing.pooled().mean["mse"] is None
    assert nothing.pooled().mean["psnr"] is None
    assert not nothing.has_truth.any()


def test_a_lead_time_without_truth_leaves_the_means_to_the_others() -> None:
    truth, forecast = torch.rand(2, 2, 3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    there = torch.ones(truth.shape, dtype=torch.bool)
    there[:, 1] = False
    found, others = score(forecast, truth, there), score(forecast[:, ::2], truth[:, ::2])
    for name in ("mse", "mae", "bias", "ssim", "psnr", "mse_sum"):
        assert found.pooled().by_lead_time[name][1] is None
        assert found.overall(name) == pytest.approx(others.overall(name), rel=1e-5)


RAIN = ValueRange(0.0, 80.0, "mm/h", log=True)


@pytest.mark.parametrize("values", [RAIN, ValueRange(-32.0, 60.0, "dBZ")], ids=["logarithmic", "linear"])
def test_errors_are_those_of_the_values_in_their_unit(values: ValueRange) -> None:
    """By hand from the values themselves, not from the shares that the network sees."""
    shares = torch.rand(2, 2, 3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    forecast, truth = (values.from_unit(each.double()) for each in shares)
    scores = Scores((5.0,), values)
    scores.add(*shares)
    error = forecast - truth
    pooled = scores.pooled()
    assert pooled.mean["mse"] == pytest.approx(float(error.square().mean()), rel=1e-4)
    assert pooled.mean["mae"] == pytest.approx(float(error.abs().mean()), rel=1e-4)
    assert pooled.mean["bias"] == pytest.approx(float(error.mean()), rel=1e-4)
    assert pooled.mean["psnr"] == pytest.approx(-10 * math.log10(float(error.square().mean()) / values.span**2))
    over = (forecast - values.low) / values.span, (truth - values.low) / values.span
    assert pooled.mean["ssim"] == pytest.approx(score(*over).overall("ssim"), rel=1e-4)
    hits = int(((forecast >= 5.0) & (truth >= 5.0)).sum())
    either = int(((forecast >= 5.0) | (truth >= 5.0)).sum())
    assert pooled.events[0].mean["csi"] == pytest.approx(hits / either)
    assert pooled.unit == values.unit
    assert definitions(values)["mse"].endswith(f"; in {METRICS['mse'].unit(values.unit)}, values {values.describe()}")


def test_a_value_that_equals_a_threshold_reaches_it() -> None:
    """Though integers of two bytes are mapped in float32, and thresholds in float64."""
    values = ValueRange(-3.0, 4000.0, "K")
    pixels = np.arange(1, 1001, dtype=np.uint16).reshape(1, 25, 40, 1)
    truth = clip_tensor(pixels, values)[None]
    for threshold in range(1, 1001, 37):
        scores = Scores((threshold,), values)
        scores.add(truth, truth)
        assert scores.counts(threshold)["hits"].item() == 1001 - threshold
