"""`predict --members`: members, their mean, spread, quantiles and shares that reach a value, on disk."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_square
from prediction import Notes, frames_of, lively, make_run, one
from typer.testing import CliRunner

from convlstm_cli.cli.app import app
from convlstm_cli.cli.forecast_view import forecast_line
from convlstm_cli.errors import ConvLSTMError, RunError, UsageError
from convlstm_cli.forecasting import members as members_module
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.members import MembersFile
from convlstm_cli.forecasting.statistics import LeadTime, Statistics
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.members.fair_crps import fair_crps
from convlstm_cli.weights.pretrained import Pretrained

CONFIG = PredictConfig(members=5, formats=("npy",))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose network reads noise: 4 frames to read and 3 to forecast, at 16x16."""
    return lively(make_run(tmp_path_factory.mktemp("run") / "noisy", size=16, noise=True))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured values from 0 to 40 that move, (10, 16, 16)."""
    path = tmp_path_factory.mktemp("video") / "rain.npy"
    rows, columns = np.mgrid[:16, :16]
    frames = [20 + 20 * np.sin((columns + rows - 2 * step) / 5) for step in range(10)]
    np.save(path, np.stack(frames).astype(np.float32))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def members_in(forecast: Forecast) -> np.ndarray:
    return np.asarray(np.load(forecast.folder / "members.npy"))


def test_what_is_made_of_members_follows_from_them(run: Run, video: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, quantiles=(0.1, 0.5), exceed=(5.0, 30.0))
    folder = one(run, video, tmp_path, config).folder
    members = np.load(folder / "members.npy")
    assert members.shape == (5, 3, 16, 16)
    assert members.dtype == np.float32
    assert members.std(axis=0).mean() > 0.1
    expected = {
        "forecast": members.mean(axis=0),
        "spread": members.std(axis=0, ddof=1),
        "quantile_0.1": np.quantile(members, 0.1, axis=0),
        "quantile_0.5": np.quantile(members, 0.5, axis=0),
        "exceed_5.0": (members >= 5.0).mean(axis=0),
        "exceed_30.0": (members >= 30.0).mean(axis=0),
    }
    for name, values in expected.items():
        found = np.load(folder / f"{name}.npy")
        if name.startswith("exceed"):  # but where a member is the value itself, to rounding
            apart = (np.abs(members - float(name.removeprefix("exceed_"))) > 1e-4).all(axis=0)
            assert apart.mean() > 0.95
            found, values = found[apart], values[apart]
        np.testing.assert_allclose(found, values, atol=2e-5, err_msg=name)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["forecast.json", "members.npy", "members.webm", "spread", *(f"{name}.npy" for name in expected)]
    )


def test_files_of_one_forecast_each_stand_in_a_folder(run: Run, video: Path, tmp_path: Path) -> None:
    config = PredictConfig(members=2, quantiles=(0.5,), exceed=(30.0,), formats=("png", "webm"))
    folder = one(run, video, tmp_path, config).folder
    assert sorted(path.name for path in (folder / "members").iterdir()) == [
        *("member_01", "member_01.webm", "member_02", "member_02.webm")
    ]
    for name in ("members/member_02", "quantile_0.5", "exceed_30.0"):
        assert len(list((folder / name).glob("frame_*.png"))) == 3
        assert frames_of(folder / f"{name}.webm").shape == (3, 16, 16, 3)  # in the colours of measured values
    assert len(list(folder.glob("frame_*.png"))) == 3


def test_maps_are_numbers_that_can_be_at_every_pixel_that_is_forecast(tmp_path: Path) -> None:
    """Enlarging by cubic interpolation overshoots, cropping leaves pixels out, and others never have a value."""
    cropped = lively(make_run(tmp_path / "run", size=16, fit="crop", noise=True))
    frames = np.random.default_rng(0).integers(0, 50, (5, 24, 40)).astype(np.float32)
    frames[:, :, 10] = np.nan
    np.save(tmp_path / "noise.npy", frames)
    config = PredictConfig(members=3, exceed=(25.0,), quantiles=(0.5,), formats=("npy",))
    folder = one(cropped, tmp_path / "noise.npy", tmp_path / "out", config).folder
    for name, most in (("exceed_25.0", 1.0), ("spread", 50.0)):
        values = np.load(folder / f"{name}.npy")
        assert values.dtype == np.float32
        shown = np.isfinite(values)
        assert not shown[:, :, [0, 7, 10, 32, 39]].any()
        assert shown[:, :, [8, 9, 11, 31]].all()
        assert values[shown].min() >= 0
        assert 0 < values[shown].max() <= most


def test_the_statistics_of_a_lead_time_are_computed_once(
    run: Run, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    at = Statistics.at

    def counted(self: Statistics, members: MembersFile, lead: int) -> LeadTime:
        asked.append(lead)
        return at(self, members, lead)

    monkeypatch.setattr(Statistics, "at", counted)
    one(run, video, tmp_path, CONFIG)
    assert asked == [0, 1, 2]


def test_a_seed_gives_its_members_and_another_gives_others(run: Run, video: Path, tmp_path: Path) -> None:
    first = contents(one(run, video, tmp_path / "a", CONFIG).folder)
    assert contents(one(run, video, tmp_path / "b", CONFIG).folder) == first
    other = one(run, video, tmp_path / "c", dataclasses.replace(CONFIG, seed=1))
    assert not np.array_equal(members_in(other), np.load(tmp_path / "a" / "rain" / "members.npy"))
    assert json.loads((other.folder / "forecast.json").read_text())["members"]["seed"] == 1


def test_members_depend_neither_on_their_number_nor_on_how_many_are_computed_or_read_at_once(
    run: Run, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, quantiles=(0.3,))
    together = one(run, video, tmp_path / "together", config)
    monkeypatch.setattr("convlstm_cli.forecasting.streams.TOGETHER", 2)
    monkeypatch.setattr(members_module, "BAND", 1)
    alone = one(run, video, tmp_path / "alone", config)
    for name in ("members", "forecast", "spread", "quantile_0.3"):
        kept, found = (np.load(each.folder / f"{name}.npy") for each in (together, alone))
        np.testing.assert_allclose(found, kept, atol=1e-4)
    fewer = one(run, video, tmp_path / "fewer", dataclasses.replace(CONFIG, members=3))
    np.testing.assert_allclose(members_in(fewer), members_in(together)[:3], atol=1e-4)


@pytest.mark.parametrize("forecaster", ["advected", "unconditioned"])
def test_a_member_in_tiles_is_the_whole_one(forecaster: str, tmp_path: Path) -> None:
    """The noise is that of the frame, so no seam shows; the sides are no multiples of a patch."""
    noisy = make_run(tmp_path / "noisy", size=16, noise=True, forecaster=forecaster, input_frames=2, patch_size=2)
    lively(noisy)
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).integers(0, 255, (4, 35, 91), np.uint8))
    config = PredictConfig(members=2, frames=2, formats=("npy",), native_size=True)
    whole = one(noisy, tmp_path / "wide.npy", tmp_path / "whole", config)
    tiles = dataclasses.replace(config, tile=64, tile_overlap=32)
    tiled = one(noisy, tmp_path / "wide.npy", tmp_path / "tiled", tiles)
    assert json.loads((tiled.folder / "forecast.json").read_text())["tiles"][0]["count"] > 1
    kept, found = members_in(whole).astype(float), members_in(tiled).astype(float)
    assert np.abs(kept[0] - kept[1]).mean() > 5  # else all would agree
    assert np.abs(kept - found).max() <= 1


def test_the_record_says_what_members_there_are(run: Run, video: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, seed=3, quantiles=(0.1, 0.9), exceed=(5.0,))
    forecast = one(run, video, tmp_path, config)
    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["members"] == {
        "count": 5,
        "seed": 3,
        "written": True,
        "quantiles": [0.1, 0.9],
        "exceed": [5.0],
        "past_errors": forecast.members.past_errors if forecast.members else None,
    }
    assert 0 < record["members"]["past_errors"] <= 1
    assert record["guard"]["origins"] == list(forecast.guard.origins if forecast.guard else ())
    assert record["run"] == str(run.folder)
    spread = np.load(forecast.folder / "spread.npy") / forecast.values.span
    assert record["spread"]["by_lead_time"] == pytest.approx(np.sqrt(np.square(spread).mean(axis=(1, 2))), rel=1e-4)
    assert "5 members" in forecast_line(forecast)


def test_a_known_future_scores_the_members(run: Run, video: Path, tmp_path: Path) -> None:
    forecast = one(run, video, tmp_path, dataclasses.replace(CONFIG, at=8))
    truth = torch.from_numpy(np.load(video)[8:10])
    members = torch.from_numpy(members_in(forecast)[:, :2])
    assert forecast.scores is not None
    assert forecast.scores.crps is not None
    low, high = forecast.values.low, forecast.values.high
    crps = fair_crps(members, truth.clamp(low, high)).mean(dim=(1, 2))
    assert forecast.scores.crps.by_lead_time == pytest.approx(crps.tolist(), rel=1e-4)
    assert forecast.scores.crps.mean == pytest.approx(crps.mean().item(), rel=1e-4)
    assert forecast.scores.spread_skill is not None
    assert "CRPS" in forecast_line(forecast)


@pytest.mark.parametrize("other", [{"members": 4}, {"seed": 1}, {"quantiles": (0.5,)}, {"exceed": (5.0,)}])
def test_members_are_kept_until_an_option_of_theirs_changes(
    other: dict[str, Any], run: Run, video: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, frames=1)
    made = one(run, video, tmp_path, config)
    kept = one(run, video, tmp_path, config)
    assert dataclasses.replace(kept, kept=False) == made
    assert kept.kept
    assert not one(run, video, tmp_path, dataclasses.replace(config, **other)).kept


# Several runs


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Three runs without noise that differ."""
    folder = tmp_path_factory.mktemp("plain")
    runs = []
    for number in range(3):
        made = make_run(folder / str(number), size=16)
        network = made.load_model(torch.device("cpu"))
        torch.nn.init.normal_(network.head.conv.weight, std=0.3, generator=torch.Generator().manual_seed(number))
        made.save_weights(network.state_dict())
        runs.append(made)
    return runs


def test_runs_without_noise_are_members_one_each(plain: list[Run], video: Path, tmp_path: Path) -> None:
    config = PredictConfig(members=3, quantiles=(0.5,), exceed=(20.0,), formats=("npy",), guard=False)
    forecast = one(plain, video, tmp_path / "out", config)
    alone = [one(each, video, tmp_path / each.name, dataclasses.replace(config, **NO_MEMBERS)) for each in plain]
    each = np.stack([np.load(made.folder / "forecast.npy") for made in alone])
    np.testing.assert_allclose(members_in(forecast), each, atol=1e-4)
    np.testing.assert_allclose(np.load(forecast.folder / "quantile_0.5.npy"), np.median(each, axis=0), atol=1e-4)
    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["runs"] == [str(made.folder) for made in plain]
    assert (record["members"]["count"], record["members"]["seed"]) == (3, None)


NO_MEMBERS: dict[str, Any] = {"members": None, "quantiles": (), "exceed": ()}


def test_quantiles_of_runs_need_no_number_of_members(plain: list[Run], video: Path, tmp_path: Path) -> None:
    forecast = one(plain, video, tmp_path, PredictConfig(quantiles=(0.5,), formats=("npy",)))
    assert (forecast.folder / "quantile_0.5.npy").is_file()
    assert not (forecast.folder / "members.npy").exists()
    assert forecast.guard is None  # the quantiles are of what is not mixed, so the mean is not either
    assert forecast.members is not None
    assert not forecast.members.written


def test_runs_that_read_noise_share_the_members(run: Run, video: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", size=16, noise=True)
    config = dataclasses.replace(CONFIG, guard=False)  # the errors that they are dressed with are those of their mean
    forecast = one([run, other], video, tmp_path / "out", config)
    alone = one(run, video, tmp_path / "alone", config)
    np.testing.assert_allclose(members_in(forecast)[::2], members_in(alone)[::2], atol=1e-4)
    assert not np.allclose(members_in(forecast)[1], members_in(alone)[1], atol=0.1)


# What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"members": 1}, "--members is 1; give at least 2"),
        ({"members": 10**6}, "--members is 1000000; it can be at most"),
        ({"frames": 10**7}, "--frames is 10000000; it can be at most 1000000"),
        ({"seed": -1}, "--seed is -1"),
        ({"quantiles": (0.5, 1.0)}, "--quantiles has 1; give some above 0 and below 1"),
        ({"quantiles": (float("nan"),)}, "--quantiles has nan"),
        ({"exceed": (float("inf"),)}, "--exceed has inf"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PredictConfig(**options)


def test_options_without_members_are_refused(run: Run, plain: list[Run], video: Path, tmp_path: Path) -> None:
    def refusal(runs: Run | list[Run], **options: Any) -> ConvLSTMError:
        with pytest.raises(ConvLSTMError) as caught:
            list(predict([video], runs, tmp_path, PredictConfig(**options)))
        return caught.value

    assert "--quantiles is about members" in str(refusal(run, quantiles=(0.5,)))
    assert "--exceed is about members" in str(refusal(run, exceed=(5.0,)))
    assert isinstance(error := refusal(plain[0], members=20), RunError)
    assert "--members 2" in str(error)
    assert "give 3, one for each run" in str(refusal(plain, members=20))
    assert "give 2, one for each run" in str(refusal([run, plain[0]], members=4))
    noisy = make_run(tmp_path / "noisy", size=16, noise=True)
    assert "give at least as many" in str(refusal([run, noisy, run], members=2))


def test_a_value_that_nothing_reaches_is_noted(run: Run, video: Path, tmp_path: Path) -> None:
    notes, config = Notes(), dataclasses.replace(CONFIG, exceed=(-5.0, 1000.0), frames=1)
    [(_, forecast)] = predict([video], run, tmp_path, config, notes)
    assert isinstance(forecast, Forecast)
    assert any("rain.npy: its values are 0" in note and "--exceed -5,1000" in note for note in notes.notes)
    assert (np.load(forecast.folder / "exceed_-5.0.npy") == 1).all()
    assert (np.load(forecast.folder / "exceed_1000.0.npy") == 0).all()


def test_members_before_the_calibration_are_noted_once_for_each_run(run: Run, video: Path, tmp_path: Path) -> None:
    def notes_of(runs: Run | list[Run], config: PredictConfig) -> list[str]:
        notes = Notes()
        dict(predict([video, video.parent], runs, tmp_path / "out", config, notes))
        return [note for note in notes.notes if "not calibrated" in note]

    config = dataclasses.replace(CONFIG, frames=1, members=2)
    [note] = notes_of(run, config)
    assert f"{run.folder}: the spread of its members" in note
    assert f"`convlstm train -o {run.folder} --resume`" in note
    assert not notes_of(run, dataclasses.replace(config, members=None))
    calibrated = make_run(tmp_path / "calibrated", size=16, noise=True)
    network = calibrated.load_model(torch.device("cpu"))
    calibrated.save_weights(network.state_dict() | {"noise_scale": 1.5 * network.noise_scale})
    assert not notes_of(calibrated, config)
    assert notes_of([calibrated, run], config) == [note]
    assert not notes_of(Pretrained(), config)


def test_values_of_pictures_are_between_0_and_1(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "square.npy", moving_square(6, seed=1, size=16))
    config = dataclasses.replace(CONFIG, exceed=(128.0,))
    with pytest.raises(UsageError, match="--exceed has 128; values of 8-bit pictures lie in"):
        one(run, tmp_path / "square.npy", tmp_path / "out", config)


def test_the_command_reads_the_options(run: Run, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--members", "2", "--seed", "4", "--quantiles", "0.1,0.9", "--exceed", "1.0,5", "--format", "npy"]
    result = CliRunner().invoke(app, ["predict", str(video), "-m", str(run.folder), "-o", "out", "--json", *options])
    assert result.exit_code == 0, result.output
    [forecast] = json.loads(result.stdout)["forecasts"]
    assert forecast["members"]["exceed"] == [1.0, 5.0]
    assert (tmp_path / "out" / "rain" / "exceed_1.0.npy").is_file()
    refused = CliRunner().invoke(app, ["predict", str(video), "-m", str(run.folder), "--quantiles", "a"])
    assert refused.exit_code == 2


def test_a_stop_leaves_nothing_of_members(
    run: Run, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    stop: Callable[..., None] = stopped
    monkeypatch.setattr("convlstm_cli.predicting.writing.write_members", stop)
    with pytest.raises(KeyboardInterrupt):
        one(run, video, tmp_path / "out", CONFIG)
    assert not list((tmp_path / "out").iterdir())
