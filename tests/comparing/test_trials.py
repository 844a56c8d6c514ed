import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_plans import CPU, MODEL, TRAINING, Heard, assert_same, plan_of, weights

from convlstm_cli.comparing.trial import is_finished
from convlstm_cli.comparing.trials import train_all
from convlstm_cli.errors import Interrupted
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.train import train
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)


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
            arms=tuple(
                dataclasses.replace(a, model=dataclasses.replace(uniform, peephole=a.model.peephole)) for a in plan.arms
            ),
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
