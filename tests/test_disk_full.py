"""Every write refused in turn: before Python asks it of the system, and by a limit that the system enforces."""

import contextlib
import errno
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import TINY, moving_square
from typer.testing import CliRunner

from convlstm_cli import compare
from convlstm_cli.cli.app import app
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Plan
from convlstm_cli.comparing.recorded import compare_runs
from convlstm_cli.errors import OutputError
from convlstm_cli.evaluate import evaluate
from convlstm_cli.files import creating_folder, reserve
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.interop.torch_program import TorchProgram
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.predict import predict
from convlstm_cli.reporting import scorecard
from convlstm_cli.runs.checkpoint import Checkpoint
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.state import State
from convlstm_cli.train import resume, train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.writers import open_writer

MODEL = ForecasterConfig(
    32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="unconditioned", head="sigmoid"
)
CONFIG = TrainConfig(max_steps=1, epoch_steps=1, batch_size=4, device="cpu")

_refused: tuple[str, str, int] | None = None
"""An audit event, the end of a file's name, and the error; None where all goes."""


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _refused is None or event != _refused[0] or not isinstance(arguments[0], str | os.PathLike):
        return
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    if os.fspath(arguments[0]).endswith(_refused[1]):
        raise OSError(_refused[2], os.strerror(_refused[2]))


sys.addaudithook(_on_event)  # stays as long as the process: there is no way to remove one


@contextlib.contextmanager
def refusing(event: str, name: str, number: int) -> Iterator[None]:
    """Makes an operation on files whose name ends with `name` fail before it is made."""
    global _refused
    _refused = event, name, number
    try:
        yield
    finally:
        _refused = None


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """Makes every write beyond `size` bytes of a file fail, as the system does on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


OPEN, RENAME = ("open", errno.ENOSPC), ("os.rename", errno.EROFS)


@pytest.fixture(autouse=True)
def quickly(without_charts: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - charts are not drawn
    """Without what takes long and writes nothing: drawing charts, measuring memory and time."""
    monkeypatch.setattr("convlstm_cli.comparing.arm_summary.training_memory", lambda *_: 1)
    monkeypatch.setattr("convlstm_cli.comparing.planning.time_steps", lambda _, arms, *__: [0.1] * len(arms))


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32, stride=4), 4, 3)


def left(folder: Path) -> list[Path]:
    """Files that are not whole, and locks."""
    return list(folder.rglob(".*"))


def test_a_training_goes_on_after_each_write_that_was_refused(data: VideoData, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def go_on() -> Run:
        begun = (folder / "config.json").exists()
        return (resume(Run.open(folder), data) if begun else train(data, MODEL, CONFIG, folder)).run

    files = ("resume.pt", "model.safetensors", "epoch_0001.png", "metrics.jsonl", "test.json", "report.html")
    for position, name in enumerate((".lock", "config.json", *files)):  # in the order in which they are written
        event, number = (OPEN, RENAME)[position % 2]
        said = rf"{folder if name == '.lock' else name}: cannot be written \({os.strerror(number)}\); .*another -o"
        with refusing(event, name, number), pytest.raises(OutputError, match=said):
            go_on()
        assert not left(tmp_path)
    resumed, undisturbed = go_on(), train(data, MODEL, CONFIG, tmp_path / "undisturbed").run
    weights = [run.load_model(torch.device("cpu")).state_dict() for run in (resumed, undisturbed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert [len(run.read_metrics()) for run in (resumed, undisturbed)] == [1, 1]


def test_a_full_disk_is_one_message_and_the_run_goes_on(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, run = make_folder(), tmp_path / "run"
    command = ["train", str(folder), "-o", str(run), *TINY, "--max-steps", "2", "--device", "cpu", "--resume", "-q"]
    prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)  # so that the cache is not what is refused
    with limited(15_000):  # config.json is smaller, resume.pt larger
        failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, SystemExit)
    assert failed.exit_code == 1
    assert "resume.pt: cannot be written (File too large)" in " ".join(failed.stderr.split())
    assert sorted(path.name for path in run.iterdir()) == ["config.json", "prints.safetensors"]
    assert CliRunner().invoke(app, command).exit_code == 0


def test_weights_that_do_not_fit_leave_the_ones_before(tmp_path: Path) -> None:
    model = {"height": 16, "width": 16, "channels": 1, "hidden": [3], "kernel_size": 3}
    settings = {"folders": ["x"], "height": 16, "width": 16, "fit": "pad"}
    run = Run.create(tmp_path / "run", {"model": model, "training": {}, "data": {"settings": settings}})
    weights = EncoderForecaster(run.model_config).state_dict()
    run.save_weights(weights)
    run.save_resume(Checkpoint(State(), weights))
    writes: dict[str, Callable[[dict[str, torch.Tensor]], None]] = {
        "model.safetensors": run.save_weights,
        "resume.pt": lambda new: run.save_resume(Checkpoint(State(), new)),
    }
    for name, write in writes.items():
        with limited(1000), pytest.raises(OutputError, match=rf"{name}: cannot be written \(File too large\)"):
            write({key: value + 1 for key, value in weights.items()})
    assert not left(tmp_path)
    kept = run.load_model(torch.device("cpu")).state_dict()
    saved = torch.load(run.folder / "resume.pt", weights_only=True)
    for key, value in weights.items():
        assert torch.equal(kept[key], value)
        assert torch.equal(saved["step"][key], value)


@pytest.mark.parametrize("kind", OUTPUT_FORMATS)
def test_a_forecast_that_does_not_fit_leaves_nothing(kind: str, tmp_path: Path) -> None:
    suffix, is_folder = OUTPUT_FORMATS[kind].suffix, OUTPUT_FORMATS[kind].is_folder
    path = tmp_path / f"forecast{suffix}"
    named = path if suffix else rf"{path}/frame_000001\.\w+"
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)

    def write() -> None:
        with open_writer(path, kind, 10) as writer:
            for frame in frames:
                writer.write(frame)

    write()
    size = 3000 if is_folder else path.stat().st_size
    if is_folder:
        shutil.rmtree(path)
    else:
        path.unlink()
    for limit in (100, size - 5):  # in the middle, and in an index at the end
        with limited(limit), pytest.raises(OutputError, match=f"^{named}: .*cannot be written"):
            write()
        assert not [each for each in tmp_path.rglob("*") if each.is_file()]


def test_the_cache_says_how_to_go_elsewhere(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    cache = folder.parent / "cache"
    monkeypatch.setenv("CONVLSTM_CACHE", str(cache))
    config = DataConfig((str(folder),), height=32, width=32)
    for refusal in (limited(1000), refusing(*RENAME[:1], ".json", RENAME[1]), refusing("open", ".json", errno.EACCES)):
        with refusal, pytest.raises(OutputError, match=rf"^{cache}: decoded videos cannot be kept .*CONVLSTM_CACHE"):
            prepare(config, 4, 3)
        assert not left(cache)
    assert len(prepare(config, 4, 3).library.videos) == 6


def test_an_export_that_does_not_fit_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = torch.export.export(torch.nn.Linear(20, 20), (torch.zeros(1, 20),))  # recording a network takes a minute
    monkeypatch.setattr("convlstm_cli.interop.torch_program.record_parts", lambda _: {"start": part})
    network = EncoderForecaster(MODEL)
    with (
        pytest.raises(OutputError, match=r"exported.*: cannot be written \(File too large\)"),
        creating_folder(tmp_path / "exported") as folder,
        limited(1000),
    ):
        TorchProgram().write(network, folder)
    assert not list(tmp_path.iterdir())
    gc.collect()  # does not end the process, as views of what could not be written do in CPython 3.12.1


def test_a_file_to_be_mapped_that_does_not_fit(tmp_path: Path) -> None:
    with limited(1000), pytest.raises(OutputError, match=r"tiles: cannot be written \(File too large\)"):
        reserve(tmp_path / "tiles", 5000)


def test_what_is_made_of_a_run_is_whole_or_not_there(data: VideoData, tmp_path: Path) -> None:
    """Forecasts, evaluations and comparisons: the names in messages are those that the files would have had."""
    runs = [train(data, MODEL, TrainConfig(**{**vars(CONFIG), "seed": s}), tmp_path / f"run{s}").run for s in (0, 1)]
    source = tmp_path / "square.npy"
    np.save(source, moving_square(12, seed=3))
    output = tmp_path / "out"
    refusals = [(OPEN, "forecast.json"), (OPEN, "frame_000002.png"), (RENAME, "square")]
    refusals += [(OPEN, "spread.npy"), (("os.mkdir", errno.EACCES), "square")]
    list(predict([source], runs, output, PredictConfig(at=8)))
    before = sorted(output.rglob("*"))
    for (event, number), name in refusals:
        with refusing(event, name, number):
            [(_, error)] = predict([source], runs, output, PredictConfig(at=8, fps=5.0))  # else the old one is kept
        assert isinstance(error, OutputError)
        assert str(error).startswith(f"{output / 'square'}")
        assert "partial" not in str(error)
        assert sorted(output.rglob("*")) == before

    report = evaluate(runs[:1])
    for (event, number), name in ((OPEN, "scores.csv"), (RENAME, "report.html")):
        folder = runs[0].folder / "evaluation-1"
        with refusing(event, name, number), pytest.raises(OutputError, match=rf"^{folder}.*cannot be written"):
            scorecard.write_scorecard(report, folder)
        assert not folder.exists()
        assert not left(runs[0].folder)

    folder = tmp_path / "comparison"
    for (event, number), name in ((OPEN, "comparison.json"), (RENAME, "comparison")):
        with refusing(event, name, number), pytest.raises(OutputError, match=rf"^{folder}.*cannot be written"):
            compare_runs(runs, folder)
        assert not folder.exists()
        assert not left(tmp_path)


def test_a_comparison_goes_on_after_each_write_that_was_refused(data: VideoData, tmp_path: Path) -> None:
    arms = compare.peephole_arms(("none", "channel"), MODEL, TrainConfig(**{**vars(CONFIG), "patience": 0}))
    folder = tmp_path / "comparison"
    config = CompareConfig(seeds=1)
    for event, number in (OPEN, RENAME):
        with refusing(event, "comparison.json", number), pytest.raises(OutputError, match=r"comparison\.json: cannot"):
            compare.compare(data, arms, config, folder)
        assert not left(tmp_path)
    with refusing("open", "metrics.csv", errno.ENOSPC), pytest.raises(OutputError, match=r"metrics\.csv: cannot be"):
        compare.compare(data, arms, config, folder)
    assert not left(tmp_path)
    assert compare.resume(Plan.read(folder)).seeds == [0]
