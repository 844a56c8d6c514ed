"""The amplitude of noise is fitted so that members lie as far apart as their mean is in error."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convlstm_cli.compute.device import choose
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.training import calibration
from convlstm_cli.training.calibration import LEAST, MOST, calibrate
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import index
from convlstm_cli.video.split import Segment


def clips(folder: Path, noise: float) -> ClipDataset:
    """Grey frames whose pixels flicker by so many levels, 8 clips of 4 and 3 frames."""
    random = np.random.default_rng(0)
    np.save(folder / "a.npy", (128 + noise * random.standard_normal((56, 16, 16))).clip(0, 255).astype(np.uint8))
    library = index([folder], FrameGeometry(16, 16, "pad"), min_frames=7)
    return ClipDataset(library, [Segment("a.npy", 0, 56)], 7, stride=7, channels=1)


def network(weight: float) -> EncoderForecaster:
    """Copies the last frame, and adds noise in proportion to its amplitude, of single pixels."""
    config = ForecasterConfig(
        16,
        16,
        1,
        hidden=(4,),
        forecaster="unconditioned",
        head="residual",
        patch_size=1,
        noise=True,
        input_frames=4,
        horizon=3,
    )
    made = EncoderForecaster(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        made.get_parameter("forecaster.0.weight_ih")[8:12, 4, 1, 1] = weight  # the candidate, of the white field
        made.head.conv.weight.fill_(0.2)
    return made


@pytest.mark.parametrize(("noise", "low", "high"), [(20.0, 1.2, MOST), (3.0, LEAST, 0.8)])
def test_the_amplitude_brings_spread_and_error_together(tmp_path: Path, noise: float, low: float, high: float) -> None:
    made = network(0.2)
    found = calibrate(made, clips(tmp_path, noise), choose("cpu"), 4)
    assert all(low < amplitude < high for amplitude in found.amplitude)
    assert found.spread_skill == pytest.approx((1.0,) * 3, abs=0.1)
    off = [abs(np.log(ratio)) for ratio in found.spread_skill_before]
    assert all(before > 3 * abs(np.log(after)) for before, after in zip(off, found.spread_skill, strict=True))
    assert made.noise_scale[:3].tolist() == pytest.approx(found.amplitude)
    assert (made.noise_scale[3:] == made.noise_scale[2]).all()
    assert made.is_calibrated


def test_without_an_error_the_amplitude_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(0.2)
    monkeypatch.setattr(calibration, "_errors", lambda *_: torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, torch.nan]]))
    assert calibrate(made, clips(tmp_path, 1.0), choose("cpu"), 4).amplitude[0] == 1.0
    assert made.noise_scale.isfinite().all()
