import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square

from convlstm_cli.cli.inspection import inspect_data, inspect_run, inspect_video, plan
from convlstm_cli.compute.device import choose
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import SUBSETS, prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


def test_a_video_is_counted_by_decoding(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", moving_square(9, seed=0, channels=3))
    found = inspect_video(tmp_path / "a.npy")
    assert (found.frames, found.height, found.width, found.colour) == (9, 32, 32, "rgb")
    assert found.to_dict()["path"] == str(tmp_path / "a.npy")


def test_a_plan_says_what_training_would_do(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    found = plan(data, MODEL, TrainConfig(batch_size=5), choose("cpu"))
    assert found.batch_shape == (5, 7, 1, 32, 32)
    assert found.parameters == parameter_count(MODEL)
    assert found.data.clips == {subset: len(data.clips(subset)) for subset in SUBSETS}
    assert inspect_data(data).frames == 6 * 14
    assert json.loads(json.dumps(found.to_dict()))["frame_shape"] == [1, 32, 32]


def test_a_run_has_its_epochs_and_scores(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    result = train(data, MODEL, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run")
    found = inspect_run(result.run)
    assert len(found.history) == found.to_dict()["epochs"] == 1
    assert found.test is not None
    assert found.test["model"]["mean"]["mse"] == pytest.approx(result.test.model.mean_mse)
