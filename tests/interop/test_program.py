import math

import pytest
import torch

from convlstm_cli.interop.program import largest_difference
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig

NETWORK = EncoderForecaster(
    ForecasterConfig(16, 16, 1, hidden=(2,), input_frames=3, horizon=2, forecaster="unconditioned")
).eval()


def test_the_largest_difference_of_any_pixel_counts() -> None:
    def off_at_one_pixel(frames: torch.Tensor, horizon: int) -> torch.Tensor:
        forecast: torch.Tensor = NETWORK(frames, horizon).clone()
        if horizon == 2:  # the second trial
            forecast[-1, -1, 0, 3, 5] += 0.25
        return forecast

    assert largest_difference(NETWORK, NETWORK) == 0.0
    assert largest_difference(off_at_one_pixel, NETWORK) == pytest.approx(0.25)


def test_a_forecast_that_is_not_finite_is_infinitely_far_off() -> None:
    assert largest_difference(lambda frames, horizon: NETWORK(frames, horizon) * torch.nan, NETWORK) == math.inf
