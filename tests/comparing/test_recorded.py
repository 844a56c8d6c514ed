import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.comparing.recorded import compare_runs
from convlstm_cli.errors import InputError, Interrupted, OutputError, RunError, UsageError
from convlstm_cli.forecasting.ensemble import open_members
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
TRAINING = TrainConfig(max_steps=2, batch_size=4, epoch_steps=2, device="cpu")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained runs, and what they are trained on."""
    from helpers import moving_square

    root = tmp_path_factory.mktemp("shelf")
    (root / "videos").mkdir()
    for index in range(8):
        np.save(root / "videos" / f"square{index}.npy", moving_square(14, seed=index))
    return root


@pytest.fixture
def data(shelf: Path) -> VideoData:
    return prepare(DataConfig((str(shelf / "videos"),), height=32, width=32), 4, 3)


@pytest.fixture
def trained(shelf: Path, data: VideoData) -> Callable[..., Run]:
    """Trains a run, or finds the one that was trained for an earlier test."""

    def make(name: str, data: VideoData = data, model: ForecasterConfig = MODEL, **training: object) -> Run:
        folder = shelf / name
        if not folder.exists():
            train(data, model, dataclasses.replace(TRAINING, **training), folder)  # type: ignore[arg-type]
        return Run.open(folder)

    return make


NONE = dataclasses.replace(MODEL, peephole="none")


def test_runs_that_differ_in_the_seed_only_are_one_arm(trained: Callable[..., Run], tmp_path: Path) -> None:
    runs = [trained("channel-1", seed=1), trained("none-0", model=NONE), trained("channel-0")]
    runs.append(trained("none-1", model=NONE, seed=1))
    summary = compare_runs(runs, tmp_path / "out")
    assert summary["kind"] == "recorded"
    assert summary["folder"] == str(tmp_path / "out")
    assert summary["reference"] == "channel"  # the first that was named
    assert [[run["seed"] for run in arm["runs"]] for arm in summary["arms"]] == [[0, 1], [0, 1]]
    assert not any("seeds" in warning or "budgets" in warning for warning in summary["warnings"])
    for arm in summary["arms"]:
        for run in arm["runs"]:
            test = json.loads((Path(run["folder"]) / "test.json").read_text(encoding="utf-8"))
            assert run["mse"] == pytest.approx(test["model"]["mean"]["mse"], rel=1e-6)
    assert (tmp_path / "out/report.html").exists()
    assert [run.folder.name for run in open_members([tmp_path / "out"])] == [
        "channel-0",
        "channel-1",
        "none-0",
        "none-1",
    ]
    with pytest.raises(OutputError, match="already"):
        compare_runs(runs, tmp_path / "out")


def test_unlike_seeds_and_budgets_are_told(trained: Callable[..., Run], tmp_path: Path) -> None:
    summary = compare_runs([trained("none-0", model=NONE), trained("long-1", seed=1, max_steps=4)], tmp_path / "out")
    assert any("seeds differ" in warning for warning in summary["warnings"])
    assert any("budgets differ (optimiser steps: none 2; channel 4)" in warning for warning in summary["warnings"])


def test_runs_of_one_kind_are_arms_of_their_own_and_luck(trained: Callable[..., Run], tmp_path: Path) -> None:
    summary = compare_runs([trained("channel-0"), trained("channel-1", seed=1)], tmp_path / "out")
    assert [arm["name"] for arm in summary["arms"]] == ["channel-0", "channel-1"]
    assert any("luck" in warning for warning in summary["warnings"])


def test_runs_that_read_and_forecast_more_are_cut_to_what_all_do(trained: Callable[..., Run], tmp_path: Path) -> None:
    longer = dataclasses.replace(MODEL, input_frames=3, horizon=4)
    summary = compare_runs([trained("channel-0"), trained("longer", model=longer)], tmp_path / "out")
    assert (summary["input_frames"], summary["horizon"]) == (4, 3)


def test_unlike_tests_are_refused_with_the_reason(trained: Callable[..., Run], shelf: Path, tmp_path: Path) -> None:
    first = trained("channel-0")
    folders = (str(shelf / "videos"),)
    split = trained("split", prepare(DataConfig(folders, height=32, width=32, test=0.4), 4, 3))
    with pytest.raises(InputError, match=r"split: was not tested on the same frames .*square.*--split-seed"):
        compare_runs([first, split], tmp_path / "out")
    cropped = trained("cropped", prepare(DataConfig(folders, height=32, width=32, fit="crop"), 4, 3))
    with pytest.raises(InputError, match=r"has --fit crop and .* pad"):
        compare_runs([first, cropped], tmp_path / "out")
    small = dataclasses.replace(MODEL, height=16, width=16)
    sized = trained("sized", prepare(DataConfig(folders, height=16, width=16), 4, 3), small)
    with pytest.raises(InputError, match=r"has --size 16x16 and .* 32x32"):
        compare_runs([first, sized], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_that_make_no_pairs_are_refused(trained: Callable[..., Run], tmp_path: Path) -> None:
    channel, none = trained("channel-0"), trained("none-0", model=NONE)
    with pytest.raises(UsageError, match="two runs"):
        compare_runs([channel], tmp_path / "out")
    with pytest.raises(UsageError, match=r"2 like .*channel-0; 1 like .*none-0"):
        compare_runs([channel, trained("channel-1", seed=1), none], tmp_path / "out")
    shutil.copytree(channel.folder, tmp_path / "copy")
    with pytest.raises(UsageError, match="same seed"):
        compare_runs(
            [channel, Run.open(tmp_path / "copy"), none, trained("none-1", model=NONE, seed=1)], tmp_path / "o"
        )


def test_asked_to_stop_it_stops(trained: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="scoring"):
        compare_runs([trained("channel-0"), trained("none-0", model=NONE)], tmp_path / "o", should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == []  # so that the same command can be given again


def test_runs_without_weights_leave_nothing(trained: Callable[..., Run], tmp_path: Path) -> None:
    shutil.copytree(trained("channel-0").folder, tmp_path / "bare")
    (tmp_path / "bare/model.safetensors").unlink()
    with pytest.raises(RunError, match="bare"):
        compare_runs([trained("none-0", model=NONE), Run.open(tmp_path / "bare")], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]
