import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import data_record

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.train import resume, train
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig
from convlstm_cli.training.resuming import CHANGEABLE, settings_to_go_on
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

MODEL = {"height": 16, "width": 16, "channels": 1, "hidden": [3], "kernel_size": 3}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    training = dataclasses.asdict(TrainConfig(epochs=2, batch_size=4, augment=("hflip",), learning_rate=3e-3))
    Run.create(tmp_path / "run", {"model": MODEL, "training": training, "data": data_record(16, 16)})
    return Run.open(tmp_path / "run")


def test_what_is_not_given_is_as_recorded(run: Run) -> None:
    assert settings_to_go_on(run) == TrainConfig(epochs=2, batch_size=4, augment=("hflip",), learning_rate=3e-3)


def test_the_recorded_settings_may_be_given_again(run: Run) -> None:
    again = settings_to_go_on(
        run,
        training={"batch_size": 4, "augment": ("hflip",), "seed": 0},
        model={"hidden": (3,), "kernel_size": 3},
        data={"folders": ("/x",), "height": 16, "width": 16, "fit": "pad"},
    )
    assert again == settings_to_go_on(run)
    assert settings_to_go_on(run, training={"batch_size": AUTO_BATCH}).batch_size == 4


@pytest.mark.parametrize("name", CHANGEABLE)
def test_how_long_and_where_may_change(run: Run, name: str) -> None:
    value = {"device": "cpu", "colormap": "magma"}.get(name, 7)
    assert getattr(settings_to_go_on(run, training={name: value}), name) == value


def test_a_limit_replaces_all_that_were_recorded(run: Run) -> None:
    config = settings_to_go_on(run, training={"max_steps": 9})
    assert (config.epochs, config.max_time, config.max_steps) == (None, None, 9)
    assert settings_to_go_on(run, training={"patience": 3}).epochs == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training": {"learning_rate": 1.0}}, r"--learning-rate is 1\.0 and this run was begun with 0\.003"),
        ({"training": {"batch_size": 5}}, "--batch-size is 5 and this run was begun with 4"),
        ({"training": {"augment": ()}}, r"--augment is \(\) and this run was begun with \('hflip',\)"),
        ({"model": {"hidden": (4,)}}, r"--hidden is \(4,\) and this run was begun with \[3\]"),
        ({"model": {"horizon": 4}}, "--frames is 4 and this run was begun with 10"),
        ({"data": {"fit": "crop"}}, "--fit is crop and this run was begun with pad"),
        ({"data": {"height": 32, "width": 16}}, "--size is 32x16 and .*run was begun with 16x16"),
        ({"data": {"folders": ("/y", "/x")}}, "FOLDER is /x, /y and .*run was begun with /x"),
    ],
)
def test_what_would_make_another_run_is_refused(run: Run, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"{message}.*; leave it out"):
        settings_to_go_on(run, **given)


@pytest.mark.usefixtures("without_charts")
def test_the_python_api_refuses_it_too(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    model = ForecasterConfig(32, 32, 1, hidden=(2,), kernel_size=1, input_frames=4, horizon=3)
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    config = TrainConfig(max_steps=1, epoch_steps=1, batch_size=4, device="cpu")
    run = train(data, model, config, tmp_path / "run").run
    with pytest.raises(UsageError, match="--loss is mse"):
        resume(run, data, config=dataclasses.replace(config, loss="mse"))
    other = prepare(dataclasses.replace(data.config, stride=2), 4, 3)
    with pytest.raises(UsageError, match="--stride is 2"):
        resume(run, other)
    assert resume(run, data, config=dataclasses.replace(config, max_steps=2)).steps == 2
