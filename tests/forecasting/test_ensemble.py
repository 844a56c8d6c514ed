import dataclasses
import json
import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from helpers import data_record, moving_square

from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import check_members, lockstep, open_members
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.reporting.spread_maps import NOT_FORECAST, SCALES
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.formulae import spread_skill
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.readers import open_video


def make_run(folder: Path, seed: int = 0, *, size: int = 32, fit: str = "stretch", **model: object) -> Run:
    """A run whose network changes the last frame in its own way."""
    config = {"height": size, "width": size, "channels": 1, "hidden": [4], "input_frames": 4, "horizon": 3}
    config |= {"forecaster": "unconditioned", **model}  # which has no motion to find, the most of the time
    data = data_record(size, size, config["channels"], fit)  # type: ignore[arg-type]
    run = Run.create(folder, {"model": config, "training": {}, "data": data})
    torch.manual_seed(seed)
    network = EncoderForecaster(ForecasterConfig(**config))  # type: ignore[arg-type]
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    run.save_weights(network.state_dict())
    return run


def one(runs: list[Run], source: Path, output: Path, config: PredictConfig) -> Forecast:
    [(_, outcome)] = predict([source], runs, output, config)
    assert isinstance(outcome, Forecast), outcome
    return outcome


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "square.npy"
    np.save(path, moving_square(20, seed=3))
    return path


# Means and spreads


@pytest.mark.parametrize("members", [2, 5])
def test_the_moments_are_those_of_all_members_at_once(members: int) -> None:
    forecasts = torch.rand(members, 2, 7, 1, 4, 5)
    streams = [iter(torch.split(forecast, 3, dim=1)) for forecast in forecasts]
    means, spreads = (torch.cat(pieces, dim=1) for pieces in zip(*lockstep(streams), strict=True))
    torch.testing.assert_close(means, forecasts.mean(dim=0))
    torch.testing.assert_close(spreads, forecasts.std(dim=0, unbiased=True))


def test_members_go_on_together_and_their_forecasts_are_not_changed() -> None:
    asked: list[int] = []

    def stream(member: int, forecast: torch.Tensor) -> object:
        for piece in torch.split(forecast, 1, dim=1):
            asked.append(member)
            yield piece

    forecasts = torch.rand(3, 1, 2, 1, 4, 4)
    before = forecasts.clone()
    list(lockstep([stream(member, forecast) for member, forecast in enumerate(forecasts)]))  # type: ignore[misc]
    assert asked == [0, 1, 2, 0, 1, 2]
    assert torch.equal(forecasts, before)


def test_a_single_stream_or_another_length_is_refused() -> None:
    pieces = [torch.zeros(1, 1, 1, 4, 4)]
    with pytest.raises(UsageError, match="two"):
        list(lockstep([iter(pieces)]))
    with pytest.raises(ValueError, match="lengths"):
        list(lockstep([iter(pieces), iter(2 * pieces)]))


def test_members_that_differ_as_the_truth_does_have_a_ratio_of_one() -> None:
    drawn = torch.randn(5, 200_000, generator=torch.Generator().manual_seed(0)).double()
    members, truth = drawn[:4], drawn[4]
    variance, mse = members.var(dim=0).mean().item(), (members.mean(dim=0) - truth).square().mean().item()
    assert spread_skill(variance, mse, 4) == pytest.approx(1.0, abs=0.01)
    assert spread_skill(variance / 4, mse, 4) == pytest.approx(0.5, abs=0.01)


def test_the_ratio_where_there_is_nothing_to_divide_by() -> None:
    assert spread_skill(0.0, 0.25, 2) == 0.0
    assert spread_skill(0.1, 0.0, 2) == math.inf
    assert math.isnan(spread_skill(0.0, 0.0, 2))


# Which runs


def test_a_comparison_stands_for_all_its_runs_and_each_counts_once(tmp_path: Path) -> None:
    compared = tmp_path / "compared"
    arms = ("none", "channel", "seed-1/none")
    for arm in arms:
        make_run(compared / arm)
    (compared / "comparison.json").write_text(json.dumps({"runs": {"a": arms}}))
    alone = make_run(tmp_path / "alone")
    assert Run.is_run(compared)
    assert Run.is_run(alone.folder)
    assert not Run.is_run(tmp_path)
    runs = open_members([alone.folder, compared, compared / "none"])
    assert [run.folder for run in runs] == [
        alone.folder,
        *(compared / arm for arm in arms),
    ]
    with pytest.raises(RunError, match="nowhere"):
        open_members([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("other", "words"),
    [({"size": 48}, "48x48"), ({"fit": "crop"}, "--fit crop"), ({"channels": 3}, "colour")],
)
def test_runs_that_forecast_other_pixels_are_told_apart(other: dict[str, object], words: str, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b"), make_run(tmp_path / "c", **other)]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=words) as caught:
        check_members(runs)
    assert "/a " in str(caught.value)
    assert "/c " in str(caught.value)
    if "channels" in other:
        with pytest.raises(UsageError, match=words):
            check_members(runs, native_size=True)
    else:
        check_members(runs, native_size=True)


def test_one_run_is_no_ensemble(video: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least two"):
        list(predict([video], [make_run(tmp_path / "a")], tmp_path / "out"))


# Forecasts


@pytest.mark.parametrize("native", [False, True])
def test_the_forecast_is_the_mean_and_its_spread_is_written(native: bool, video: Path, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", 1, input_frames=6), make_run(tmp_path / "b", 2, horizon=9)]
    config = PredictConfig(at=15, formats=("png", "npy"), native_size=native, guard=False)
    same_length = dataclasses.replace(config, frames=3)
    alone = [one([run, run], video, tmp_path / run.name, same_length) for run in runs]  # two of a kind, so no spread
    forecast = one(runs, video, tmp_path / "out", config)
    assert (forecast.first_input_frame, forecast.frames) == (10, 3)
    members = np.stack([np.load(each.folder / "forecast.npy") for each in alone]).astype(float)
    written = np.load(forecast.folder / "forecast.npy")
    assert np.abs(written - members.mean(axis=0)).max() <= 1
    spread = np.load(forecast.folder / "spread.npy")
    assert spread.shape == written.shape == (3, 32, 32)
    assert spread.dtype == np.float16
    assert np.abs(255 * spread.astype(float) - members.std(axis=0, ddof=1)).max() < 1.0
    assert not np.load(alone[0].folder / "spread.npy").any()

    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["runs"] == [str(run.folder) for run in runs]
    assert "run" not in record
    truth = np.load(video)[15:18, :, :, 0] / 255
    mse = np.square(members.mean(axis=0) / 255 - truth).mean(axis=(1, 2))
    assert record["scores"]["model"]["by_lead_time"]["mse"] == pytest.approx(mse, rel=0.02)
    ratio = np.sqrt(1.5 * np.square(spread.astype(float)).mean(axis=(1, 2)) / mse)
    assert record["scores"]["spread_skill"]["by_lead_time"] == pytest.approx(ratio, rel=0.02)
    scale = record["spread"]["full_scale"]
    assert scale in SCALES
    levels = np.rint(255 * np.clip(spread.astype(np.float32) / scale, 0, 1)).astype(int)
    with open_video(forecast.folder / "spread") as pictures:
        shown = np.stack(list(pictures))
    np.testing.assert_array_equal(shown, matplotlib.colormaps["magma"](levels, bytes=True)[..., :3])
    assert f"{scale:g}" in (forecast.folder / "spread" / "legend.svg").read_text()


def test_pictures_have_the_size_of_the_source_and_say_where_there_is_no_forecast(tmp_path: Path) -> None:
    source = tmp_path / "wide.npy"
    np.save(source, np.full((6, 30, 50), 100, np.uint8))
    runs = [make_run(tmp_path / name, seed, fit="crop") for seed, name in enumerate(("a", "b"))]
    forecast = one(runs, source, tmp_path / "out", PredictConfig(frames=10, formats=("webm",)))
    assert not (forecast.folder / "spread.npy").exists()
    assert forecast.spread is not None
    assert len(forecast.spread.by_lead_time) == 10
    folder = forecast.folder / "spread"
    pictures = [np.asarray(cv2.imread(str(path))) for path in sorted(folder.glob("frame_*.png"))]
    assert len(pictures) == 10
    assert pictures[0].shape == (30, 50, 3)
    assert (pictures[0][:, :10] == NOT_FORECAST).all()  # cropped away, so not forecast
    assert not (pictures[0][:, 10:40] == NOT_FORECAST).all(axis=-1).any()


def test_a_stop_leaves_nothing_of_an_ensemble(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("convlstm_cli.reporting.spread_maps.SpreadMaps.write", stopped)
    runs = [make_run(tmp_path / name, seed) for seed, name in enumerate(("a", "b"))]
    with pytest.raises(KeyboardInterrupt):
        one(runs, video, tmp_path / "out", PredictConfig())
    assert not list((tmp_path / "out").iterdir())
