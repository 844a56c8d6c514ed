"""Whole trainings and comparisons whose steps are captured on the device, with a recorder that needs no GPU."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from broken_steps import BrokenStep, breaking
from fake_graphs import FakeRecorder, on_the_cpu
from safetensors.torch import load_file

from convlstm_cli import train as training
from convlstm_cli.compute.graphs import SWITCH
from convlstm_cli.errors import Interrupted
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.progress import Progress, StepReport
from convlstm_cli.runs.run import Run
from convlstm_cli.train import resume, train
from convlstm_cli.training import loop
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.step import Begun
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

MODEL = ForecasterConfig(
    32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="unconditioned", head="mix"
)
CONFIG = TrainConfig(
    epochs=2, epoch_steps=8, batch_size=4, device="cpu", precision="fp32", init="none", patience=0, augment=("hflip",)
)

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32, stride=3), 4, 3)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeRecorder]:
    return on_the_cpu(monkeypatch)


class Notes(Progress):
    def __init__(self) -> None:
        self.told: list[str] = []
        self.steps: list[StepReport] = []

    def note(self, message: str) -> None:
        self.told.append(message)

    def stepped(self, step: StepReport) -> None:
        self.steps.append(step)


def rows(run: Run) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in run.read_metrics()]


def test_a_training_is_the_same_captured_and_launched_and_reports_each_step(
    data: VideoData, tmp_path: Path, made: list[FakeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, runs = [], []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        notes = Notes()
        runs.append(train(data, MODEL, CONFIG, tmp_path / switch, progress=notes).run)
        reports.append([(step.steps, step.epoch, step.loss) for step in notes.steps])
    assert made[0].replayed > 0
    assert reports[0] == reports[1]
    assert [steps for steps, _, _ in reports[0]] == list(range(1, len(reports[0]) + 1))
    assert rows(runs[0]) == rows(runs[1])
    one, other = (load_file(run.folder / "model.safetensors") for run in runs)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("stop", [1, 7, 10])
def test_a_training_that_is_stopped_with_steps_under_way_goes_on_as_if_it_had_not_been(
    data: VideoData, tmp_path: Path, made: list[FakeRecorder], stop: int
) -> None:
    whole = train(data, MODEL, CONFIG, tmp_path / "whole").run
    asked = iter(range(10**6))
    with pytest.raises(Interrupted):
        train(data, MODEL, CONFIG, tmp_path / "cut", should_stop=lambda: next(asked) >= stop)
    cut = Run.open(tmp_path / "cut")
    saved = cut.load_resume()
    assert saved is not None
    assert saved.state.steps == saved.step["steps"] > 0
    resume(cut, data)
    assert rows(cut) == rows(whole)
    one, other = (load_file(run.folder / "model.safetensors") for run in (whole, cut))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert made[0].replayed > 0


class Broken(BrokenStep):
    """Reads clips that are not finite in these steps."""

    def begin(self, clips: torch.Tensor, *more: Any) -> Begun:
        return super().begin(clips * math.nan if self.breaks_next() else clips, *more)


@pytest.fixture
def break_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[range], None]:
    return breaking(monkeypatch, Broken, training)


def test_a_step_that_is_not_finite_is_left_out_and_told_late(
    data: VideoData, tmp_path: Path, made: list[FakeRecorder], break_steps: Callable[[range], None]
) -> None:
    break_steps(range(5, 8))
    notes = Notes()
    result = train(data, MODEL, CONFIG, tmp_path / "run", progress=notes)
    assert [note.split(":")[0] for note in notes.told] == ["step 6", "step 7", "step 8"]
    assert sum(row["skipped_steps"] for row in result.run.read_metrics()) == 3
    assert len(notes.steps) == result.steps - 3
    assert all(math.isfinite(row["train_loss"]) and row["train_loss"] > 0 for row in result.run.read_metrics())
    assert made[0].replayed > 0


def test_several_in_a_row_go_back_with_a_lower_rate(
    data: VideoData, tmp_path: Path, made: list[FakeRecorder], break_steps: Callable[[range], None]
) -> None:
    """Steps that were under way meanwhile count for nothing."""
    config = dataclasses.replace(CONFIG, schedule="constant", warmup=0.0)
    plain = train(data, MODEL, dataclasses.replace(config, epochs=1), tmp_path / "plain")
    steps = plain.steps
    break_steps(range(steps + 2, steps + 2 + loop.SKIPPED_IN_A_ROW))
    notes = Notes()
    result = train(data, MODEL, config, tmp_path / "run", progress=notes)
    assert result.steps == 2 * steps
    assert f"going back from step {steps + 7} to {steps}, with 0.25 times" in notes.told[-1]
    first, second = result.run.read_metrics()
    assert second["learning_rate"] == pytest.approx(loop.LOWER * first["learning_rate"])
    assert (first["skipped_steps"], second["skipped_steps"]) == (0, 0)
    of_steps = [recorder for recorder in made if recorder.shapes == {(2,)}]
    assert len(of_steps) == 3  # of both trainings, and anew after going back
