import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers import moving_square
from prediction import frames_of, make_run, one

from convlstm_cli.cli.forecast_view import forecast_line
from convlstm_cli.compute.device import choose
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.forecasting.streams import CHUNK
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guarded import guarded_forecast, shrunk
from convlstm_cli.scoring.systems import MODEL

CONFIG = PredictConfig(at=12, frames=2 * CHUNK + 3, formats=("npy",))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "square.npy", moving_square(20, seed=3))
    return tmp_path / "square.npy"


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Two runs of 8 input frames whose networks differ."""
    found = []
    for number in range(2):
        run = make_run(tmp_path / f"run{number}")
        network = run.load_model(torch.device("cpu"))
        longer = Run.create(
            tmp_path / f"longer{number}", {**run.config, "model": {**run.config["model"], "input_frames": 8}}
        )
        torch.manual_seed(number)
        torch.nn.init.normal_(network.head.conv.weight, std=0.3)
        longer.save_weights(network.state_dict())
        found.append(longer)
    return found


def written(folder: Path) -> npt.NDArray[np.uint8]:
    frames: npt.NDArray[np.uint8] = np.load(folder / "forecast.npy")
    return frames


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("tile", [None, 16, "auto"])
def test_what_predict_writes_is_the_guarded_mean(
    members: int, tile: int | str | None, runs: list[Run], source: Path, tmp_path: Path
) -> None:
    native: dict[str, Any] = {} if tile is None else {"native_size": True, "tile": tile}
    config = dataclasses.replace(CONFIG, **native)
    run: Run | list[Run] = runs[0] if members == 1 else runs
    forecast = one(run, source, tmp_path / "out", config)
    models = [each.load_model(torch.device("cpu")) for each in runs[:members]]
    frames = torch.from_numpy(np.load(source)[4:12]).permute(0, 3, 1, 2)[None].float() / 255
    forecasts = {name: each.forecast(frames, config.frames or 0) for name, each in BASELINES.items()}
    forecasts[MODEL] = forecast_members(models, frames, config.frames or 0, choose("cpu")).mean(dim=0)
    if tile == 16:
        plain = one(run, source, tmp_path / "plain", dataclasses.replace(config, guard=False))
        forecasts[MODEL] = torch.from_numpy(written(plain.folder))[None, :, None].float() / 255
    expected = guarded_forecast(models, frames, forecasts, choose("cpu"))
    assert not torch.allclose(expected, forecasts[MODEL], atol=0.02)
    assert np.abs(written(forecast.folder) - 255 * expected[0, :, 0].numpy()).max() < (0.52 if tile != 16 else 1.1)


def test_the_record_says_what_was_mixed(runs: list[Run], source: Path, tmp_path: Path) -> None:
    forecast = one(runs[0], source, tmp_path / "out", CONFIG)
    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["guard"]["origins"] == [4, 5, 6]
    assert list(record["guard"]["weights"]) == [MODEL, *BASELINES]
    weights = np.array(list(record["guard"]["weights"].values()))
    assert weights.shape == (4, 8)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert record["settings"]["guard"] is record["made_from"]["settings"]["guard"] is True
    assert one(runs[0], source, tmp_path / "out", CONFIG).guard == forecast.guard  # read back, since it is kept
    assert forecast.guard is not None
    shares = forecast.guard.shares(forecast.frames)
    assert sum(shares.values()) == pytest.approx(1)
    for name, baseline in BASELINES.items():
        mentioned = f"{shares[name]:.0%} {baseline.phrase}" in forecast_line(forecast)
        assert mentioned == (shares[name] >= 0.005)


def test_without_the_guard_the_network_is_alone(runs: list[Run], source: Path, tmp_path: Path) -> None:
    guarded = one(runs[0], source, tmp_path / "out", CONFIG)
    plain = one(runs[0], source, tmp_path / "out", dataclasses.replace(CONFIG, guard=False))
    assert not plain.kept
    assert plain.guard is None
    assert "mixed" in forecast_line(guarded)
    assert "mixed" not in forecast_line(plain)
    assert json.loads((plain.folder / "forecast.json").read_text())["guard"] is None


def test_a_short_input_is_forecast_by_the_network_alone(runs: list[Run], source: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, at=3)
    forecast = one(runs[0], source, tmp_path / "out", config)
    assert forecast.guard is None
    plain = one(runs[0], source, tmp_path / "plain", dataclasses.replace(config, guard=False))
    np.testing.assert_array_equal(written(forecast.folder), written(plain.folder))


def test_a_still_video_stays_as_it_is(runs: list[Run], tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (32, 32, 1), np.uint8)
    np.save(tmp_path / "still.npy", np.repeat(frame[None], 10, axis=0))
    forecast = one(runs[0], tmp_path / "still.npy", tmp_path / "out", PredictConfig(frames=30, formats=("png",)))
    assert all((each == frame).all() for each in frames_of(forecast.folder))
    assert "100% copying the last frame" in forecast_line(forecast)


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(32, 48, (32, 48)), (512, 250, (128, 64)), (16, 2000, (16, 128))]
)
def test_frames_are_shrunk_to_whole_patches(height: int, width: int, expected: tuple[int, int]) -> None:
    network = EncoderForecaster(ForecasterConfig(32, 32, 1, hidden=(2,), patch_size=4))
    small = shrunk(torch.full((1, 3, 2, height, width), 0.25), [network])
    assert small.shape == (1, 3, 2, *expected)
    torch.testing.assert_close(small, torch.full_like(small, 0.25))
