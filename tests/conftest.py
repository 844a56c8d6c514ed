"""What all tests share: one thread, a cache of their own, and small folders of videos."""

import os

# Tensors here are so small that waiting for a second thread takes most of the time. Before torch is imported, and
# for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("CONVLSTM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of .npy videos of moving squares."""

    def make(videos: int = 6, frames: int = 14, name: str = "videos", channels: int = 1) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for index in range(videos):
            np.save(folder / f"square{index}.npy", moving_square(frames, seed=index, channels=channels))
        return folder

    return make


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are written without drawing their charts, which takes as long as a small training."""
    monkeypatch.setattr("convlstm_cli.reporting.charts._svg", lambda *_: "<svg></svg>")
