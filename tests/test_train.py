import dataclasses
import itertools
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from broken_steps import BrokenStep, breaking
from helpers import draw_nothing, moving_square

from convlstm_cli import train as training
from convlstm_cli.compute.device import choose
from convlstm_cli.compute.stopping import StopRequest
from convlstm_cli.errors import (
    ConvLSTMError,
    InputError,
    InsufficientMemoryError,
    Interrupted,
    OutputError,
    RunError,
    UsageError,
)
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Forecaster, Head
from convlstm_cli.progress import Progress
from convlstm_cli.reporting import line_charts, page
from convlstm_cli.runs.checkpoint import Checkpoint
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.train import check_options, resume, train
from convlstm_cli.training import loop
from convlstm_cli.training.batches import steps_per_epoch
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.training.step import TrainStep
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare, restore

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
PLAIN = dataclasses.replace(MODEL, forecaster="unconditioned")
"""Without motion, which takes most of the time of a small network."""
CONFIG = TrainConfig(epochs=3, epoch_steps=1, batch_size=4, device="cpu")


pytestmark = pytest.mark.usefixtures("short_motion_throughout", "without_charts")


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32, stride=3), 4, 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, short_motion_throughout: None) -> Path:  # noqa: ARG001
    """A run of `CONFIG` on videos such as `data`, made once: 3 epochs, each of 3 steps and a validation."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        (folder / "videos").mkdir()
        for index in range(6):
            np.save(folder / "videos" / f"square{index}.npy", moving_square(14, seed=index))
        data = prepare(DataConfig((str(folder / "videos"),), height=32, width=32, stride=3), 4, 3)
        assert train(data, MODEL, CONFIG, folder / "run").steps == 9
    return folder / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Run:
    """A copy of that run."""
    shutil.copytree(whole, tmp_path / "run")
    return Run.open(tmp_path / "run")


def after(steps: int) -> Callable[[], bool]:
    """A should_stop that says yes when it is asked for the `steps`-th time."""
    asked = iter(range(1, 10**6))
    return lambda: next(asked) >= steps


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Run.open(folder).load_model(torch.device("cpu")).state_dict()


def checkpoint_of(folder: Path) -> Checkpoint:
    checkpoint = Run.open(folder).load_resume()
    assert checkpoint is not None
    return checkpoint


def test_training_learns_and_writes_a_whole_run(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(max_steps=30, epoch_steps=10, batch_size=8, learning_rate=1e-2, device="cpu", patience=0)
    result = train(data, MODEL, config, tmp_path / "run")
    assert result.steps == 30
    assert result.test.skill > 0.2
    run = Run.open(tmp_path / "run")
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "prints.safetensors",
        "report.html",
        "resume.pt",
        "samples",
        "test.json",
    ]
    rows = run.read_metrics()
    assert [row["epoch"] for row in rows] == list(range(1, result.epochs + 1))
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert len(rows[0]["validation"]["model"]["by_lead_time"]["ssim"]) == 3
    assert len(list((run.folder / "samples").iterdir())) == result.epochs
    written = json.loads((run.folder / "test.json").read_text())
    assert written["skill"] == pytest.approx(result.test.skill)


def test_the_record_says_which_videos_were_for_what(run: Run) -> None:
    record = run.config
    split = {
        name: {entry["path"] for entry in record["data"]["split"][name]} for name in ("train", "validation", "test")
    }
    assert all(split.values())
    assert not split["train"] & split["validation"]
    assert not (split["train"] | split["validation"]) & split["test"]
    assert record["versions"]["torch"]
    assert record["training"]["seed"] == 0


@pytest.mark.parametrize("stop", [1, 4, 7, 13])
def test_resuming_equals_no_interruption_bit_for_bit(data: VideoData, whole: Path, tmp_path: Path, stop: int) -> None:
    """Before the first step, in the first validation, within the second epoch, and in the test at the end."""
    with pytest.raises(Interrupted, match="--resume"):
        train(data, MODEL, CONFIG, tmp_path / "cut", should_stop=after(stop))
    run = Run.open(tmp_path / "cut")
    again = resume(run, restore(run.config["data"], 4, 3))

    assert again.steps == 9
    for name, value in weights(whole).items():
        assert torch.equal(weights(tmp_path / "cut")[name], value), name
    states = [checkpoint_of(folder).step for folder in (whole, tmp_path / "cut")]
    for part in ("network", "average"):
        for name, value in states[0][part].items():
            assert torch.equal(states[1][part][name], value), name

    def without_time(run: Run) -> list[dict[str, Any]]:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in run.read_metrics()]

    assert without_time(Run.open(tmp_path / "cut")) == without_time(Run.open(whole))


def restored(run: Run) -> VideoData:
    return restore(run.config["data"], 4, 3)


def test_resuming_what_has_ended_changes_nothing(run: Run) -> None:
    before = weights(run.folder)
    again = resume(run, restored(run))
    assert again.epochs == 3
    assert again.step_seconds is None
    assert all(torch.equal(before[name], value) for name, value in weights(run.folder).items())


def test_a_finished_run_can_go_on_for_longer(run: Run) -> None:
    longer = resume(run, restored(run), config=dataclasses.replace(CONFIG, epochs=4))
    assert longer.epochs == 4
    assert train_config(Run.open(run.folder)).epochs == 4


def test_a_changed_video_is_noticed_on_resume(data: VideoData) -> None:
    record = json.loads(json.dumps(data.to_dict()))
    video = data.library.videos[0].path
    np.save(video, np.load(video)[::-1])  # of the same length
    with pytest.raises(InputError, match="shows other frames"):
        restore(record, 4, 3)
    video.unlink()
    with pytest.raises(InputError, match="put it back"):
        restore(record, 4, 3)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(max_steps=3, batch_size=4, device="cpu")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(data, PLAIN, dataclasses.replace(config, seed=seed), tmp_path / name)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_time_ends_training_with_a_validated_epoch(data: VideoData, tmp_path: Path) -> None:
    result = train(data, PLAIN, TrainConfig(max_time=0.05, device="cpu"), tmp_path / "run")
    assert result.epochs >= 1
    assert result.stopped == "the time is over"
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_training_stops_early_without_progress(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(epochs=50, epoch_steps=1, patience=2, learning_rate=1e-12, batch_size=64, device="cpu")
    result = train(data, PLAIN, config, tmp_path / "run")
    assert result.epochs < 50
    assert "no better validation" in result.stopped


def test_a_loss_that_explodes_is_told_with_the_remedy(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(max_steps=60, learning_rate=1e30, warmup=0.0, clip_norm=1e30, loss="mse", device="cpu")
    with pytest.raises(ConvLSTMError, match="--learning-rate"):
        train(data, MODEL, config, tmp_path / "run")


def test_bce_needs_frames_that_lie_in_their_range(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(max_steps=2, loss="bce", device="cpu")
    with pytest.raises(UsageError, match=r"--head residual .* --loss bce"):
        train(data, dataclasses.replace(MODEL, head="residual"), config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    heads: tuple[Head, ...] = ("mix", "sigmoid")
    for head in heads:
        assert train(data, dataclasses.replace(MODEL, head=head), config, tmp_path / head).steps == 2


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        ({}, {"scheduled_sampling": 0.5}, "--scheduled-sampling .* --forecaster is advected"),
        ({"width": 48}, {"augment": ("rot90",)}, "--augment rot90 needs square frames and --size is 32x48"),
    ],
)
def test_options_that_do_not_go_together(model: dict[str, Any], config: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_options(dataclasses.replace(MODEL, **model), TrainConfig(**config))


@pytest.mark.parametrize("stop", [2, 9])
def test_augmented_and_fed_training_goes_on_bit_for_bit(data: VideoData, tmp_path: Path, stop: int) -> None:
    """All that is drawn at random depends on the seed and the step; the second stop is within a validation."""
    model = dataclasses.replace(MODEL, forecaster="autoregressive")
    config = dataclasses.replace(
        CONFIG, augment=("hflip", "vflip", "rot90", "reverse"), scheduled_sampling=0.8, optimizer="rmsprop"
    )
    train(data, model, config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(data, model, config, tmp_path / "parts", should_stop=after(stop))
    resume(Run.open(tmp_path / "parts"), data)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    train(data, model, dataclasses.replace(config, scheduled_sampling=0.0), tmp_path / "unfed")
    assert any(not torch.equal(whole[name], other) for name, other in weights(tmp_path / "unfed").items())


def test_an_existing_run_is_not_touched(data: VideoData, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("dear")
    with pytest.raises(OutputError, match="run"):
        train(data, MODEL, CONFIG, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_bf16_trains_with_fp32_weights(data: VideoData, tmp_path: Path) -> None:
    result = train(data, PLAIN, TrainConfig(max_steps=2, precision="bf16", device="cpu"), tmp_path / "run")
    assert result.run.config["compute"]["precision"] == "bf16"
    assert all(value.dtype == torch.float32 for value in weights(tmp_path / "run").values())


def test_fp16_trains_with_fp32_weights_and_goes_on(data: VideoData, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, precision="fp16", epochs=1)
    train(data, PLAIN, config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(data, PLAIN, config, tmp_path / "parts", should_stop=after(2))
    resume(Run.open(tmp_path / "parts"), data)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(tensor.dtype == torch.float32 for tensor in whole.values())
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_checkpointing_gives_the_same_training(data: VideoData, tmp_path: Path) -> None:
    for name, every in (("all", None), ("some", 2)):
        config = TrainConfig(max_steps=3, batch_size=4, device="cpu", precision="fp32", checkpoint_every=every)
        train(data, PLAIN, config, tmp_path / name)
    for one, other in zip(weights(tmp_path / "all").values(), weights(tmp_path / "some").values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_progress_is_told_in_order(data: VideoData, tmp_path: Path) -> None:
    told: list[str] = []

    class Recorder(Progress):
        def started(self, *_: Any) -> None:
            told.append("started")

        def stepped(self, *_: Any) -> None:
            told.append("step")

        def epoch_ended(self, *_: Any) -> None:
            told.append("epoch")

        def finished(self) -> None:
            told.append("finished")

    train(
        data,
        PLAIN,
        TrainConfig(epochs=2, epoch_steps=1, batch_size=64, device="cpu"),
        tmp_path / "run",
        progress=Recorder(),
    )
    assert told == ["started", "step", "epoch", "step", "epoch", "finished"]


def test_few_clips_are_passed_over_several_times(data: VideoData, tmp_path: Path) -> None:
    clips = len(data.clips("train"))
    result = train(data, PLAIN, TrainConfig(epochs=1, epoch_steps=10, batch_size=64, device="cpu"), tmp_path / "run")
    assert result.steps == -(-10 * clips // 64)
    assert result.epochs == 1


def test_a_run_without_its_state_is_not_begun_again(run: Run) -> None:
    (run.folder / "resume.pt").unlink()
    before = weights(run.folder)
    with pytest.raises(RunError, match=r"resume\.pt"):
        resume(run, restored(run))
    assert all(torch.equal(before[name], value) for name, value in weights(run.folder).items())


def test_videos_that_do_not_move_are_reported_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "line_chart", line_charts.line_chart)  # which has gaps where a forecast is exact
    folder = tmp_path / "still"
    folder.mkdir()
    for index in range(3):
        np.save(folder / f"{index}.npy", np.full((9, 32, 32), 60 * index, np.uint8))
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    result = train(data, MODEL, dataclasses.replace(CONFIG, epochs=1), tmp_path / "run")
    assert result.test.persistence.mean_mse == 0
    assert "exact" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.usefixtures("data")
def test_a_run_goes_on_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = prepare(DataConfig(("videos",), height=32, width=32), 4, 3)
    record = train(relative, MODEL, CONFIG, tmp_path / "run").run.config
    monkeypatch.chdir("/")
    assert restore(record["data"], 4, 3).split == relative.split


@pytest.mark.parametrize("forecaster", get_args(Forecaster))
def test_three_times_the_trained_horizon_is_no_worse_than_copying(
    make_folder: Callable[..., Path], tmp_path: Path, forecaster: Forecaster
) -> None:
    """By more than a tenth; and everything stays finite and in range."""
    config = DataConfig((str(make_folder(videos=8, frames=16)),), height=32, width=32)
    model = dataclasses.replace(MODEL, hidden=(8,), forecaster=forecaster)
    short = prepare(config, model.input_frames, model.horizon)
    training = TrainConfig(max_steps=30, batch_size=8, learning_rate=1e-2, device="cpu")
    run = train(short, model, training, tmp_path / "run").run
    long = prepare(config, model.input_frames, 3 * model.horizon)
    network = run.load_model(torch.device("cpu"))
    scores = evaluate_clips(network, long.clips("test"), choose("cpu"), 8)
    assert all(map(math.isfinite, scores.model.mse))
    assert scores.model.mean_mse <= 1.1 * scores.persistence.mean_mse
    frames = torch.rand(1, 4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    forecast = network(frames, 100)
    assert forecast.isfinite().all()
    assert 0.0 <= forecast.min() <= forecast.max() <= 1.0


class Broken(BrokenStep):
    """Has a loss that is not finite in these steps."""

    def differentiate(self, *args: Any) -> float:
        loss = super().differentiate(*args)
        return math.nan if self.breaks_next() else loss


@pytest.fixture
def break_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[range], None]:
    return breaking(monkeypatch, Broken, training)


class Notes(Progress):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


def test_a_step_that_is_not_finite_is_left_out_and_told(
    data: VideoData, tmp_path: Path, break_steps: Callable[[range], None]
) -> None:
    break_steps(range(3, 6))
    config = TrainConfig(max_steps=20, epoch_steps=10, batch_size=4, device="cpu", precision="fp32", init="none")
    notes = Notes()
    result = train(data, PLAIN, config, tmp_path / "run", progress=notes)
    assert result.steps == 20
    rows = result.run.read_metrics()
    assert [row["skipped_steps"] for row in rows] == [3, *([0] * (len(rows) - 1))]
    assert all(math.isfinite(row["train_loss"]) and row["train_loss"] > 0 for row in rows)
    assert [note.split(":")[0] for note in notes.told] == ["step 4", "step 5", "step 6"]
    assert "3 in a row" in notes.told[-1]


def test_several_in_a_row_go_back_to_the_checkpoint_with_a_lower_rate(
    data: VideoData, tmp_path: Path, break_steps: Callable[[range], None]
) -> None:
    """As if training had been begun at the checkpoint with the lower rate."""
    config = TrainConfig(epochs=2, epoch_steps=8, batch_size=4, schedule="constant", warmup=0.0, device="cpu")
    steps = steps_per_epoch(data.clips("train"), config)
    break_steps(range(steps + 2, steps + 2 + loop.SKIPPED_IN_A_ROW))
    notes = Notes()
    result = train(data, PLAIN, config, tmp_path / "run", progress=notes)
    assert result.steps == 2 * steps
    assert f"going back from step {steps + 7} to {steps}, with 0.25 times" in notes.told[-1]
    first, second = result.run.read_metrics()
    assert second["learning_rate"] == loop.LOWER * first["learning_rate"]
    assert (first["skipped_steps"], second["skipped_steps"]) == (0, 0)

    break_steps(range(0))
    train(data, PLAIN, dataclasses.replace(config, epochs=1), tmp_path / "other")
    other = Run.open(tmp_path / "other")
    checkpoint = checkpoint_of(other.folder)
    checkpoint.state.went_back = 1
    other.save_resume(checkpoint)
    resume(other, data, config=config)
    assert all(
        torch.equal(value, weights(tmp_path / "other")[name]) for name, value in weights(tmp_path / "run").items()
    )


def test_training_that_is_of_no_use_stops_with_the_reason(
    data: VideoData, tmp_path: Path, break_steps: Callable[[range], None]
) -> None:
    """And goes on from its last checkpoint later."""
    config = TrainConfig(max_steps=30, epoch_steps=10, batch_size=4, device="cpu")
    break_steps(range(12, 1000))
    with pytest.raises(ConvLSTMError, match=r"5 steps in a row .* even with 0\.00390625 times .* --learning-rate"):
        train(data, PLAIN, config, tmp_path / "run")
    break_steps(range(0))
    assert resume(Run.open(tmp_path / "run"), data).steps == 30


@pytest.mark.parametrize("number", [1, 4, 6])
def test_a_request_to_stop_is_heeded_inside_a_step(
    data: VideoData, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It is saved as it was before that step; numbers are those of forward passes, in training and in validation."""
    request, count, left = StopRequest(), itertools.count(1), []
    forward = EncoderForecaster.forward

    def asked_within(self: EncoderForecaster, *args: Any, **more: Any) -> torch.Tensor:
        if next(count) == number:
            request.ask()
        forecast = forward(self, *args, **more)
        left.append(forecast.shape)
        return forecast

    monkeypatch.setattr(EncoderForecaster, "forward", asked_within)
    with pytest.raises(Interrupted):
        train(data, MODEL, CONFIG, tmp_path / "cut", should_stop=request)
    assert len(left) == number - 1  # what was under way was not completed
    resume(Run.open(tmp_path / "cut"), data)
    assert all(torch.equal(value, weights(tmp_path / "cut")[name]) for name, value in weights(whole).items())


@pytest.mark.parametrize("where", ["differentiate", "apply"])
def test_want_of_memory_in_a_step_is_told_with_what_would_fit(
    data: VideoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def exhausted(*_: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:129] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(TrainStep, where, exhausted)
    monkeypatch.setattr("convlstm_cli.compute.device.free_memory", lambda _device: 10**7)
    with pytest.raises(
        InsufficientMemoryError, match=r"--batch-size 8 with frames of 32x32 .*; --batch-size 4, or --check.* would fit"
    ):
        train(data, PLAIN, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run")
    monkeypatch.undo()
    assert resume(Run.open(tmp_path / "run"), data).steps == 2


def test_forecasts_that_are_not_finite_go_back_too_and_never_become_the_checkpoint(
    data: VideoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though checkpoints are written at every chance."""
    config = TrainConfig(
        init="none", epochs=2, epoch_steps=8, batch_size=4, save_every=1e-9, patience=0, device="cpu", precision="fp32"
    )
    steps, made = steps_per_epoch(data.clips("train"), config), itertools.count()
    evaluate = evaluate_clips

    def evaluate_badly(*args: Any, **more: Any) -> Any:
        evaluation = evaluate(*args, **more)
        if next(made) == 1:
            monkeypatch.setattr(type(evaluation.model), "mean_mse", math.inf)
        return evaluation

    monkeypatch.setattr("convlstm_cli.training.session.evaluate_clips", evaluate_badly)

    class Restored(Notes):
        def note(self, message: str) -> None:
            super().note(message)
            monkeypatch.undo()

    notes = Restored()
    result = train(data, PLAIN, config, tmp_path / "run", progress=notes)
    assert f"going back from step {2 * steps} to {2 * steps - 1}, with 0.25" in notes.told[0]
    assert result.steps == 2 * steps


def test_weights_that_outgrow_all_bounds_do_not_become_the_checkpoint(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(max_steps=20, learning_rate=1e13, warmup=0.0, loss="mse", save_every=1e-9, device="cpu")
    with pytest.raises(ConvLSTMError, match="training diverged at step"):
        train(data, PLAIN, config, tmp_path / "run")
    assert Run.open(tmp_path / "run").load_resume() is not None  # which refuses such weights


def test_a_checkpoint_from_before_steps_were_skipped_goes_on(data: VideoData, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(data, MODEL, CONFIG, tmp_path / "run", should_stop=after(3))
    run = Run.open(tmp_path / "run")
    saved = checkpoint_of(run.folder).to_plain()
    for name in ("skipped", "in_a_row", "went_back"):
        del saved["state"][name]
    torch.save(saved, run.folder / "resume.pt")
    assert resume(run, data).epochs == 3
