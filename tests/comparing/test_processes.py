import dataclasses
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_plans import TRAINING, Heard, assert_same, plan_of

from convlstm_cli.comparing import processes
from convlstm_cli.comparing.processes import threads_of
from convlstm_cli.comparing.trial import is_finished
from convlstm_cli.comparing.trials import train_all
from convlstm_cli.errors import ConvLSTMError, Interrupted
from convlstm_cli.progress import Progress
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes begin as forks of one that has loaded the package, which saves seconds each.

    tests/cli/test_resuming.py begins them as the package does.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([processes.__name__])
        monkeypatch.setattr(multiprocessing, "get_context", lambda _method: context)


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)


def test_processes_save_when_asked_to_stop_and_give_what_one_after_another_gives(
    data: VideoData, tmp_path: Path
) -> None:
    serial, parallel, heard = plan_of(data, tmp_path / "serial"), plan_of(data, tmp_path / "parallel", jobs=2), Heard()
    train_all(serial, data, Progress(), lambda: False)
    with pytest.raises(Interrupted, match="--resume"):
        train_all(parallel, data, heard, lambda: max(heard.shares, default=0) > 0.1)
    assert not all(is_finished(parallel, trial) for trial in parallel.trials())
    train_all(parallel, data, heard, lambda: False)
    assert_same(serial, parallel)
    assert sum(", seed 1: 3 steps" in note for note in heard.notes) == 2


def test_a_training_that_fails_in_a_process_is_one_message(data: VideoData, tmp_path: Path) -> None:
    plan = plan_of(data, tmp_path / "out", dataclasses.replace(TRAINING, learning_rate=1e30, clip_norm=0.0), jobs=2)
    with pytest.raises(ConvLSTMError, match="at step"):
        train_all(plan, data, Progress(), lambda: False)


def test_cores_are_shared_out() -> None:
    assert threads_of(1) == torch.get_num_threads()
    assert threads_of(1000) == 1
