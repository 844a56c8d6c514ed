"""Pictures of a training and an evaluation on measured values with missing pixels."""

from pathlib import Path

import cv2
import numpy as np
from helpers import moving_square

from convlstm_cli.evaluate import evaluate
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting.scorecard import write_scorecard
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare
from convlstm_cli.video.painting import MISSING, Painter
from convlstm_cli.video.values import ValueRange

MODEL = ForecasterConfig(
    16, 16, 1, hidden=(4,), kernel_size=3, input_frames=2, horizon=2, forecaster="unconditioned", head="sigmoid"
)
VALUES = ValueRange(0.0, 40.0)


def shows(path: Path, *colours: object) -> list[bool]:
    """Whether a picture has pixels of each colour."""
    picture = np.asarray(cv2.imread(str(path)))[:, :, ::-1]
    return [bool((picture == np.asarray(colour)).all(axis=2).any()) for colour in colours]


def test_samples_and_scorecards_have_the_colours_of_the_map(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for index in range(3):
        rain = np.where(moving_square(6, index, 16)[..., 0] > 100, np.float32(30), np.float32(0))
        rain[:, :, :4] = np.nan
        np.save(videos / f"{index}.npy", rain)
    data = prepare(DataConfig((str(videos),), height=16, width=16, value_range="0,40"), 2, 2)
    run = train(data, MODEL, TrainConfig(max_steps=1, device="cpu", colormap="magma"), tmp_path / "run").run
    [sample] = (run.folder / "samples").iterdir()
    colours = {name: Painter(VALUES, name).colours[191] for name in ("magma", "viridis")}  # of 30
    assert shows(sample, *colours.values(), [MISSING] * 3) == [True, False, True]
    report = evaluate([run], config=EvaluateConfig(device="cpu", guard=False))
    assert report.to_dict()["settings"]["colormap"] == "viridis"
    write_scorecard(report, tmp_path / "evaluation")
    worst = tmp_path / "evaluation" / "worst.png"
    assert shows(worst, *colours.values(), [MISSING] * 3) == [False, True, True]
