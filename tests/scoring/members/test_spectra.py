import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from convlstm_cli.scoring.members.spectra import TRUTH, PooledSpectra, Spectra, radial_power, temporal_power


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.5 + 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def wave(height: int, width: int, wavelength: float, angle: float = 0.0) -> Tensor:
    """(height, width): a sine of a wavelength in pixels that runs in a direction."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return 0.5 + 0.3 * torch.sin(2 * math.pi / wavelength * (columns * math.cos(angle) + rows * math.sin(angle)))


def measured(members: dict[str, Tensor], truth: Tensor, valid: Tensor | None = None, batches: int = 1) -> PooledSpectra:
    spectra = Spectra()
    for part in range(batches):
        at = slice(part, None, batches)
        spectra.add(
            {name: each[:, at] for name, each in members.items()}, truth[at], None if valid is None else valid[at]
        )
    return spectra.pooled()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 64), (64, 40)])
@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2])
@pytest.mark.parametrize("wavelength", [4.0, 8.0, 16.0])
def test_a_sine_has_its_peak_at_its_wavelength(height: int, width: int, angle: float, wavelength: float) -> None:
    power = radial_power(wave(height, width, wavelength, angle))
    peak = round(64 / wavelength)
    # The ring beside it may have more, since a window is as wide as two rings and wider along a shorter side.
    assert abs(int(power.argmax()) + 1 - peak) <= (0 if height == width else 1)
    assert power[peak - 3 : peak + 2].sum() > 0.99 * power.sum()


def test_white_noise_is_flat_and_has_its_variance() -> None:
    power = radial_power(noise(100, 32, 32)).mean(dim=0)
    assert power.shape == (16,)
    torch.testing.assert_close(power[1:], torch.full((15,), 0.01), rtol=0.1, atol=0.0)


def test_power_is_that_of_a_plain_sum_over_rings() -> None:
    """Restated mode by mode with numpy, and against the edge of a frame that does not repeat."""
    frame = noise(7, 10)
    window = np.outer(*(np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in (7, 10)))
    values = frame.double().numpy()
    spectrum = np.abs(np.fft.fft2((values - (values * window).sum() / window.sum()) * window)) ** 2
    expected = np.zeros(5)
    for k in range(1, 6):
        ring = [
            spectrum[row, column]
            for row in range(7)
            for column in range(10)
            if round(math.hypot(min(row, 7 - row) * 10 / 7, min(column, 10 - column))) == k
        ]
        expected[k - 1] = np.mean(ring) / (window**2).sum()
    np.testing.assert_allclose(radial_power(frame).numpy(), expected, rtol=1e-4)


def test_a_slope_leaks_little_into_short_wavelengths() -> None:
    slope = torch.linspace(0.0, 1.0, 64).expand(64, 64)
    power = radial_power(slope)
    assert power[8:].max() < 1e-4 * power[0]


def test_a_flicker_has_its_peak_at_its_period() -> None:
    times = torch.arange(20)
    clip = (0.5 + 0.2 * torch.sin(2 * math.pi / 4 * times)).view(1, 20, 1, 1, 1) + noise(1, 1, 1, 8, 8)
    power = temporal_power(clip)
    assert power.shape == (1, 1, 10)
    assert int(power[0, 0].argmax()) + 1 == 5  # 20 frames / 4
    still = noise(1, 1, 1, 8, 8).expand(-1, 20, -1, -1, -1)
    assert temporal_power(still).max() < 1e-10


def test_equal_fields_have_a_ratio_of_1_and_scaled_ones_the_square() -> None:
    truth = noise(4, 6, 2, 16, 16)
    members = {"same": truth[None], "half": torch.stack((truth, truth)) / 2}
    found = measured(members, truth)
    np.testing.assert_allclose(found.ratio("same"), 1.0)
    np.testing.assert_allclose(found.ratio("half"), 0.25, rtol=1e-5)
    np.testing.assert_allclose(found.temporal_ratio("half"), 0.25, rtol=1e-5)
    assert found.ends("half") == pytest.approx((0.25, 0.25))
    assert found.temporal_ends("same") == (1.0, 1.0)
    assert found.wavelengths == tuple(16 / k for k in range(1, 9))
    assert found.periods == (6.0, 3.0, 2.0)
    assert len(found.systems[TRUTH].by_lead_time) == 6


def test_only_wavelengths_above_4_pixels_are_held_to_the_truth() -> None:
    truth = noise(8, 4, 1, 32, 32)
    combed = truth + torch.tensor([0.2, -0.2]).repeat(16)
    found = measured({"fine": combed[None]}, truth)
    assert found.ends("fine") == pytest.approx((1.0, 1.0), abs=0.01)
    assert np.max(found.ratio("fine")) > 2
    stripes = truth + 0.2 * wave(32, 32, 8.0)
    assert measured({"coarse": stripes[None]}, truth).ends("coarse")[1] > 2


def test_powers_are_pooled_over_members_and_batches() -> None:
    truth, members = noise(5, 4, 1, 16, 16), noise(3, 5, 4, 1, 16, 16, seed=1)
    whole, parts = measured({"a": members}, truth), measured({"a": members}, truth, batches=3)
    np.testing.assert_allclose(parts.ratio("a"), whole.ratio("a"), rtol=1e-6)
    np.testing.assert_allclose(parts.temporal_ratio("a"), whole.temporal_ratio("a"), rtol=1e-6)
    single = [measured({"a": member[None]}, truth).systems["a"].by_lead_time for member in members]
    np.testing.assert_allclose(np.mean(single, axis=0), whole.systems["a"].by_lead_time, rtol=1e-6)


def test_pixels_without_truth_count_for_nothing() -> None:
    truth, forecast = noise(4, 5, 1, 16, 16), noise(2, 4, 5, 1, 16, 16, seed=1)
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[..., :3] = False
    valid[0, 2] = False  # a whole frame, and with it the clip's changes
    found = measured({"a": forecast}, truth, valid)
    other_truth, other = truth.where(valid, torch.tensor(0.9)), forecast.where(valid, torch.tensor(0.1))
    again = measured({"a": other}, other_truth, valid)
    np.testing.assert_allclose(again.ratio("a"), found.ratio("a"), rtol=1e-5)
    np.testing.assert_allclose(again.temporal_ratio("a"), found.temporal_ratio("a"), rtol=1e-5)
    rest = measured({"a": forecast[:, 1:]}, truth[1:], valid[1:])
    np.testing.assert_allclose(found.ratio("a")[2], rest.ratio("a")[2], rtol=1e-6)
    np.testing.assert_allclose(found.temporal_ratio("a"), rest.temporal_ratio("a"), rtol=1e-6)


def test_what_cannot_be_measured_is_null_in_json() -> None:
    truth = noise(2, 3, 1, 16, 16)
    valid = torch.zeros_like(truth, dtype=torch.bool)
    found = measured({"a": truth[None]}, truth, valid)
    assert found.periods == ()  # of fewer than 4 lead times
    assert found.systems["a"].temporal == []
    assert all(math.isnan(end) for end in found.ends("a"))
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["power"]["a"]["by_lead_time"][0][0] is None
    assert record["ratio_ends"] == {
        "a": {"above_wavelength": 4.0, "by_lead_time": [None, None], "temporal": [None, None]}
    }
