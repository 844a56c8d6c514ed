"""What all tests share: one thread, a cache that is not the user's, and small folders of videos."""

import dataclasses
import os

# Tensors here are so small that waiting for a second thread takes most of the time. Before torch is imported, and
# for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads that wait leave their core to the other workers of pytest-xdist.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import draw_nothing, moving_square


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache.

    All workers of pytest-xdist share one, so that C kernels, which take seconds each, are compiled once; and so do the
    processes of scripts/gpu-check, which names one in CONVLSTM_TEST_CACHE.
    """
    base = tmp_path_factory.getbasetemp()
    own = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLSTM_CACHE", os.environ.get("CONVLSTM_TEST_CACHE", own))
        yield


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_disks() -> Iterator[None]:
    """Nothing waits until a disk has what was written, since no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.hookimpl(optionalhook=True, tryfirst=True)  # pytest-xdist need not be there
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """In place of pytest-xdist's own way of sending whole files to its processes."""
    if config.getvalue("dist") != "loadfile":
        return None
    from spreading import FilesTogether

    return FilesTogether(config, log)


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
    draw_nothing(monkeypatch)
    plot = SimpleNamespace(savefig=lambda path, dpi: path.touch())  # noqa: ARG005
    monkeypatch.setattr("convlstm_cli.reporting.scorecard._plot", lambda _systems: plot)


def _few_operations(patch: pytest.MonkeyPatch) -> None:
    """Two levels and two steps show that both are repeated; a Gaussian of three pixels is as good a sum as a wider."""
    from convlstm_cli.nn import motion

    patch.setattr("convlstm_cli.nn.motion.search.LEVELS", 2)
    for name in motion.SEARCHES:
        # One sees as many frames from each lookback, and is one batch in an export; the others are several.
        frames = 2 if name == "latest" else 4
        patch.setitem(motion.SEARCHES, name, motion.Search(frames=frames, iterations=2, window=0.5, smoothing=0.5))


@pytest.fixture
def short_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Motion is estimated by few operations, since each takes time in a small network and in its export."""
    _few_operations(monkeypatch)


@pytest.fixture(scope="module")
def short_motion_throughout() -> Iterator[None]:
    """As `short_motion`, in all tests of a file and in what they share."""
    with pytest.MonkeyPatch.context() as patch:
        _few_operations(patch)
        yield


@pytest.fixture
def two_motions(short_motion: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """As `short_motion`, with two motions for the head that has three, of which one is searched for in one step."""
    from convlstm_cli.nn import motion
    from convlstm_cli.nn.kinds import HEADS

    monkeypatch.setitem(motion.SEARCHES, "latest", dataclasses.replace(motion.SEARCHES["latest"], iterations=1))
    monkeypatch.setitem(HEADS, "motions", dataclasses.replace(HEADS["motions"], motions=("fine", "latest")))
