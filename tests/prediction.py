"""Runs and calls that the tests of predictions share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from helpers import data_record

from convlstm_cli.errors import ConvLSTMError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.video.readers import open_video


def make_run(folder: Path, channels: int = 1, fit: str = "pad", size: int = 32, **others: Any) -> Run:
    """A run whose network copies the last frame, so that its forecasts are known."""
    model: dict[str, Any] = {"height": size, "width": size, "channels": channels, "hidden": [4], "kernel_size": 3}
    model |= {"input_frames": 4, "horizon": 3, "forecaster": "unconditioned", "head": "residual", **others}
    data = data_record(size, size, channels, fit)
    run = Run.create(folder, {"model": model, "training": {}, "data": data})
    run.save_weights(EncoderForecaster(ForecasterConfig(**model)).state_dict())
    return run


def lively(run: Run) -> Run:
    """Lets a run's network change what it copies."""
    network = run.load_model(torch.device("cpu"))
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.conv.weight, std=0.3)
    run.save_weights(network.state_dict())
    return run


def one(run: Run | Sequence[Run], source: Path, output: Path, config: PredictConfig | None = None) -> Forecast:
    """The forecast of a single input; raises the error that it failed with."""
    [(path, outcome)] = predict([source], run, output, config)
    assert path == source
    if isinstance(outcome, ConvLSTMError):
        raise outcome
    return outcome


def frames_of(path: Path) -> npt.NDArray[np.uint8]:
    """All frames of a video, (T, H, W, C)."""
    with open_video(path) as video:
        return np.stack(list(video))


class Notes(Progress):
    """Keeps the notes of a prediction."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
