import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.scoring.metrics import METRICS, UNBOUNDED, Bounds
from convlstm_cli.scoring.scales import scale_within

HALF_BOUNDED = (0.0, math.inf)
BOUNDS = sorted({metric.bounds for metric in METRICS.values()} | {UNBOUNDED})


@pytest.mark.parametrize("bounds", BOUNDS)
@given(share=st.lists(st.floats(0, 1), min_size=1, max_size=5), scaled=st.floats(-1e6, 1e6))
def test_no_interval_ends_beyond_the_bounds(bounds: Bounds, share: list[float], scaled: float) -> None:
    """Values anywhere, at the bounds too, and ends as far off as there are."""
    low, high = max(bounds[0], -50.0), min(bounds[1], 50.0)
    scale = scale_within(bounds, low + (high - low) * np.array(share))
    [end] = scale.backward(np.array([scaled]))
    assert np.isfinite(end)
    assert bounds[0] <= end <= bounds[1]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_there_and_back_is_the_same_and_the_order_stays(bounds: Bounds) -> None:
    values = np.linspace(0.001, 0.999, 50)
    scale = scale_within(bounds, values)
    scaled = scale.forward(values)
    assert (np.diff(scaled) > 0).all()
    np.testing.assert_allclose(scale.backward(scaled), values, rtol=1e-9)


def test_the_scales_are_those_that_are_documented() -> None:
    values = np.array([0.1, 0.5])
    np.testing.assert_allclose(scale_within((-1.0, 1.0), values).forward(values), 2 * np.arctanh(values))  # Fisher's z
    np.testing.assert_allclose(scale_within(HALF_BOUNDED, values).forward(values), np.log(values))
    np.testing.assert_allclose(scale_within(UNBOUNDED, values).forward(values), values)
    at_bound = np.array([0.0, 0.5])
    np.testing.assert_allclose(scale_within(HALF_BOUNDED, at_bound).forward(at_bound), at_bound)


def test_means_that_round_beyond_a_bound_still_have_a_number() -> None:
    scale = scale_within((0.0, 1.0), np.array([0.5]))
    assert np.isfinite(scale.forward(np.array([-1e-17, 0.0, 1.0, 1 + 1e-15]))).all()
    assert np.isfinite(scale_within(HALF_BOUNDED, np.array([0.5])).forward(np.array([-1e-17, 0.0]))).all()


def test_four_videos_that_differ_much_leave_ssim_below_one() -> None:
    """What a logarithmic scale, which knows no upper bound, took to 1.75: t with 3 degrees of freedom is 3.18."""
    ssim = np.array([0.05, 0.4, 0.9, 0.95])
    ends = []
    for bounds in (METRICS["ssim"].bounds, HALF_BOUNDED):
        scale = scale_within(bounds, ssim)
        scaled = scale.forward(ssim)
        half = 3.18 * scaled.std(ddof=1) / 2
        ends.append(scale.backward(np.array([scaled.mean() - half, scaled.mean() + half])))
    (low, high), (_, beyond) = ends
    assert -1 < low < ssim.mean() < high < 1
    assert beyond > 1.75
