"""Forecasts at the size of the source."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from prediction import Notes, frames_of, lively, make_run, one

from convlstm_cli.cli.forecast_view import forecast_line
from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.predict import Forecast, predict


def test_a_source_of_the_trained_size_has_the_same_forecast_at_its_own(video: Path, tmp_path: Path) -> None:
    run, config = lively(make_run(tmp_path / "run")), PredictConfig(at=9)
    usual = one(run, video, tmp_path / "usual", config)
    native = one(run, video, tmp_path / "native", dataclasses.replace(config, native_size=True))
    names = sorted(path.relative_to(usual.folder) for path in usual.folder.rglob("*.png"))
    assert len(names) == 4
    for name in names:
        assert (native.folder / name).read_bytes() == (usual.folder / name).read_bytes()
    assert native.scores == usual.scores
    assert "at native size" in forecast_line(native)
    assert "at the model's size" in forecast_line(usual)


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("tile", ["auto", 24])
def test_an_odd_source_comes_back_exactly_whatever_the_fit(
    fit: str, tile: int | Literal["auto"], tmp_path: Path
) -> None:
    source = tmp_path / "odd.npy"
    frames = np.random.default_rng(0).integers(0, 256, (8, 35, 53, 3), np.uint8)
    np.save(source, frames)
    config = PredictConfig(at=5, formats=("png",), native_size=True, tile=tile, guard=False)
    forecast = one(make_run(tmp_path / "run", channels=3, fit=fit), source, tmp_path / "out", config)
    written = frames_of(forecast.folder)
    assert written.shape == (3, 35, 53, 3)
    np.testing.assert_array_equal(written[2], frames[4])  # the network copies, and nothing was scaled
    assert forecast.scores is not None
    expected = np.square((frames[4] - frames[5:].astype(float)) / 255).mean(axis=(1, 2, 3))
    assert forecast.scores.model.by_lead_time["mse"] == pytest.approx(expected, rel=1e-4)
    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["native_size"] is True
    assert (record["tiles"][0]["count"] > 1) == (tile != "auto")


def test_little_memory_is_noted_and_tiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "large.npy", np.zeros((5, 160, 200), np.uint8))
    monkeypatch.setattr("convlstm_cli.compute.device.free_memory", lambda _device: 1)
    progress, config = Notes(), PredictConfig(frames=9, formats=("png",), native_size=True)
    run = make_run(tmp_path / "run")
    [(_, forecast)] = predict([tmp_path / "large.npy"], run, tmp_path / "out", config, progress)
    assert isinstance(forecast, Forecast)
    assert any("in 9 tiles of 88x100" in note for note in progress.notes), progress.notes
    assert len(list(forecast.folder.iterdir())) == 9 + 1  # the frames and the record; no file of sums


def test_full_peepholes_hold_for_one_size(video: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.config["model"]["peephole"] = "full"
    with pytest.raises(UsageError, match=r"run has --peephole full, .* 32x32, .* leave --native-size out"):
        list(predict([video], run, tmp_path / "out", PredictConfig(native_size=True)))


def test_a_tiny_source_has_no_native_forecast(tmp_path: Path) -> None:
    np.save(tmp_path / "tiny.npy", np.zeros((5, 8, 40), np.uint8))
    with pytest.raises(InputError, match=r"tiny.npy: is 8x40 pixels; --native-size needs 16"):
        one(make_run(tmp_path / "run"), tmp_path / "tiny.npy", tmp_path / "out", PredictConfig(native_size=True))


@pytest.mark.parametrize(("tile", "advice"), [("auto", r"try --tile 20\."), (20, "leave --native-size out")])
def test_want_of_memory_names_a_tile_to_try(
    tile: int | Literal["auto"], advice: str, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("convlstm_cli.forecasting.tiling.forecast.forecast_chunks", full)
    config = PredictConfig(native_size=True, tile=tile)
    with pytest.raises(InputError, match=rf"square.npy: takes more memory .* \d+x\d+ pixels at a time; .*{advice}"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out", config)
    assert not list((tmp_path / "out").iterdir())
