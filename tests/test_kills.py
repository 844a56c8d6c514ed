"""Kills at chosen points; scripts/torture.py makes many more at random ones."""

import contextlib
import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convlstm_cli.files import replacing_folder, sweep, write_text
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting import pictures
from convlstm_cli.runs.checkpoint import Checkpoint
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.state import State
from convlstm_cli.train import resume, train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare
from convlstm_cli.video.writers import open_writer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes that are killed are forks"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
MODEL = ForecasterConfig(
    32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="unconditioned", head="sigmoid"
)
CONFIG = TrainConfig(max_steps=4, epoch_steps=1, batch_size=4, device="cpu")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def was_killed(work: Callable[[], object]) -> bool:
    """Whether `work`, in a process of its own, was killed; else it has to end well."""
    pid = os.fork()
    if not pid:
        signal.alarm(120)
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


def kill_at_operation(number: int, folder: Path) -> None:
    """Kills this process just before its operation of this number, from 0, that changes something in a folder."""
    numbers = itertools.count()

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not arguments[2] & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock"):
            return
        ours = isinstance(arguments[0], int) or os.fspath(arguments[0]).startswith(str(folder))
        if ours and next(numbers) == number:
            kill()

    sys.addaudithook(on_event)


def test_a_kill_before_any_operation_leaves_all_files_whole(tmp_path: Path) -> None:
    settings = {"folders": ["x"], "height": 32, "width": 32, "fit": "pad"}
    run = Run.create(tmp_path / "run", {"model": vars(MODEL), "training": {}, "data": {"settings": settings}})
    epochs = itertools.count(1)

    def write(epoch: int) -> None:
        run.save_weights({"weight": torch.full((300,), epoch)})
        run.save_resume(Checkpoint(State(), {"weight": torch.full((300,), epoch)}))
        write_text(run.folder / "metrics.jsonl", "".join(f"{number}\n" for number in range(epoch)))
        pictures.write_image(run.folder / "samples" / "a.png", np.full((32, 32, 3), epoch, np.uint8))

    write(next(epochs))
    kills = 0
    for number in itertools.count():

        def doomed(number: int = number, epoch: int = next(epochs)) -> None:
            kill_at_operation(number, tmp_path)
            write(epoch)

        killed = was_killed(doomed)
        kills += killed
        saved = torch.load(run.folder / "resume.pt", weights_only=True)
        assert saved["step"]["weight"].unique().numel() == 1
        assert len((run.folder / "model.safetensors").read_bytes()) > 1200
        lines = (run.folder / "metrics.jsonl").read_text().splitlines()
        assert [int(line) for line in lines] == list(range(len(lines)))
        run.remove_partials()
        assert not list(run.folder.rglob(".*"))
        if not killed:
            break
    assert kills >= 16  # four files, each opened, locked, renamed and looked for


def test_a_kill_before_any_operation_leaves_a_forecast_whole_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "forecast"

    def write(value: int) -> None:
        with replacing_folder(folder, "record") as partial:
            with open_writer(partial, "png", 1.0) as png, open_writer(partial / "a.gif", "gif", 1.0) as gif:
                for writer in (png, gif):
                    writer.write(np.full((16, 16, 1), value, np.uint8))
            write_text(partial / "record", str(value))

    def content() -> list[tuple[str, bytes]]:
        return sorted((path.name, path.read_bytes()) for path in folder.iterdir())

    write(0)
    old = content()
    write(1)
    new = content()
    kills = 0
    for number in itertools.count():
        write(0)

        def doomed(number: int = number) -> None:
            kill_at_operation(number, tmp_path)
            write(1)

        killed = was_killed(doomed)
        kills += killed
        if folder.exists():
            assert content() in (old, new)
        sweep(tmp_path)
        assert content() in ((old, new) if killed else (new,))
        assert [path.name for path in tmp_path.iterdir()] == ["forecast"]
        if not killed:
            break
    assert kills >= 16


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32, stride=4), 4, 3)


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="optimisers ask CUDA whether it captures, which forks cannot; gpu-check kills too"
)
@pytest.mark.usefixtures("without_charts")
def test_a_training_killed_before_each_of_its_files_ends_as_if_nothing_had_happened(
    data: VideoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train(data, MODEL, CONFIG, tmp_path / "undisturbed").run
    folder = tmp_path / "run"

    def go_on() -> Run:
        begun = (folder / "config.json").exists()
        return (resume(Run.open(folder), data) if begun else train(data, MODEL, CONFIG, folder)).run

    def killed_before(name: str) -> None:
        rename = Path.replace

        def renaming(self: Path, target: Path) -> Path:
            if target.name == name:
                kill()
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", renaming)
        go_on()

    first = ("config.json", "resume.pt", "model.safetensors", "epoch_0001.png", "metrics.jsonl")
    for name in (*first, "epoch_0002.png", "metrics.jsonl", "test.json", "report.html"):
        assert was_killed(functools.partial(killed_before, name))
    resumed = go_on()
    assert not list(tmp_path.rglob(".*"))
    files = [sorted(path.relative_to(run.folder) for path in run.folder.rglob("*")) for run in (resumed, undisturbed)]
    assert files[0] == files[1]
    for name in ("model.safetensors", "samples/epoch_0001.png", "samples/epoch_0002.png"):
        assert (resumed.folder / name).read_bytes() == (undisturbed.folder / name).read_bytes()
    rows = [[{**row, "seconds": 0} for row in run.read_metrics()] for run in (resumed, undisturbed)]
    assert rows[0] == rows[1]
    networks = [
        torch.load(run.folder / "resume.pt", weights_only=True)["step"]["network"] for run in (resumed, undisturbed)
    ]
    for key, value in networks[1].items():
        assert torch.equal(networks[0][key], value)
