import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Arm, Plan
from convlstm_cli.comparing.trials import is_finished, threads_of, train_all
from convlstm_cli.errors import ConvLSTMError, Interrupted
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
TRAINING = TrainConfig(max_steps=3, batch_size=4, epoch_steps=2, patience=0, device="cpu", augment=("hflip",))
CPU = torch.device("cpu")


class Heard(Progress):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.shares: list[float] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def comparing(self, done: float, total: int, name: str) -> None:
        assert name
        self.shares.append(done / total)


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)


def plan_of(data: VideoData, folder: Path, training: TrainConfig = TRAINING, **compare: object) -> Plan:
    arms = tuple(Arm(kind, dataclasses.replace(MODEL, peephole=kind), training) for kind in ("none", "channel"))
    asked: dict[str, dict[str, object]] = {
        "data": dataclasses.asdict(data.config),
        "model": dataclasses.asdict(MODEL),
        "training": dataclasses.asdict(training),
    }
    settings = {**asked, "compare": dataclasses.asdict(CompareConfig(("none", "channel"), 2, **compare))}  # type: ignore[arg-type]
    plan = Plan(folder, arms, (0, 1), data.to_dict(), settings)
    plan.write()
    return plan


def weights(plan: Plan) -> Iterator[dict[str, torch.Tensor]]:
    return (Run.open(plan.run_folder(trial)).load_model(CPU).state_dict() for trial in plan.trials())


def assert_same(one: Plan, other: Plan) -> None:
    for ours, others in zip(weights(one), weights(other), strict=True):
        assert ours.keys() == others.keys()
        assert all(torch.equal(ours[name], others[name]) for name in ours)


def test_every_arm_is_trained_with_every_seed(data: VideoData, tmp_path: Path) -> None:
    plan, heard = plan_of(data, tmp_path / "out"), Heard()
    train_all(plan, data, heard, lambda: False)
    assert all(is_finished(plan, trial) for trial in plan.trials())
    runs = [Run.open(plan.run_folder(trial)) for trial in plan.trials()]
    assert [(train_config(run).seed, run.model_config.peephole) for run in runs] == [
        (0, "none"),
        (0, "channel"),
        (1, "none"),
        (1, "channel"),
    ]
    assert [note.split(":")[0] for note in heard.notes] == [
        "none, seed 0",
        "channel, seed 0",
        "none, seed 1",
        "channel, seed 1",
    ]
    assert heard.shares == sorted(heard.shares)
    # Nothing about a comparison but its arms changes a training: the plain arm is what `train` gives.
    alone = train(data, dataclasses.replace(MODEL, peephole="none"), TRAINING, tmp_path / "alone").run
    ours, theirs = next(weights(plan)), alone.load_model(CPU).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_stopped_at_any_step_it_goes_on_to_the_same_weights(data: VideoData, tmp_path: Path) -> None:
    whole, stopped = plan_of(data, tmp_path / "whole"), plan_of(data, tmp_path / "stopped")
    train_all(whole, data, Progress(), lambda: False)
    calls = 0
    for patience in (1, 2, 3, 5, 8, 13, 1000):

        def enough(patience: int = patience) -> bool:
            nonlocal calls
            calls += 1
            return calls % patience == 0

        calls = 0
        with contextlib.suppress(Interrupted):
            train_all(stopped, data, Progress(), enough)
    assert_same(whole, stopped)


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_shared_values(
    data: VideoData, tmp_path: Path
) -> None:
    uniform = dataclasses.replace(MODEL, peephole_init="uniform", hidden=(4, 4))
    plans = [plan_of(data, tmp_path / name) for name in ("whole", "killed")]
    plans = [
        dataclasses.replace(
            plan,
            arms=tuple(dataclasses.replace(a, model=dataclasses.replace(uniform, peephole=a.name)) for a in plan.arms),
        )
        for plan in plans
    ]
    train_all(plans[0], data, Progress(), lambda: False)
    with pytest.raises(Interrupted):
        train_all(plans[1], data, Progress(), lambda: (plans[1].folder / "seed-0/channel/resume.pt").exists())
    (plans[1].folder / "seed-0/channel/resume.pt").unlink()
    train_all(plans[1], data, Progress(), lambda: False)
    assert_same(*plans)


def test_finished_trainings_are_not_touched(data: VideoData, tmp_path: Path) -> None:
    plan = plan_of(data, tmp_path / "out")
    train_all(plan, data, Progress(), lambda: False)
    before = {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*")}
    heard = Heard()
    train_all(plan, data, heard, lambda: False)
    assert {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*")} == before
    assert heard.notes == ["4 of 4 trainings are finished already"]


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
    with pytest.raises(ConvLSTMError, match="training comes to nothing"):
        train_all(plan, data, Progress(), lambda: False)


def test_cores_are_shared_out() -> None:
    assert threads_of(1) == torch.get_num_threads()
    assert threads_of(1000) == 1
