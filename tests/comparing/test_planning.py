import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from made_plans import MODEL, TRAINING

from convlstm_cli.comparing import planning
from convlstm_cli.comparing.arms import peephole_arms
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Arm, Plan
from convlstm_cli.comparing.planning import make_plan
from convlstm_cli.errors import Interrupted, UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

PAIR = CompareConfig(("none", "channel"), seeds=2)


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)


@pytest.fixture(autouse=True)
def a_step_takes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "time_steps", lambda _data, arms, *_: [1.0] * len(arms))


def planned(
    data: VideoData, training: TrainConfig = TRAINING, config: CompareConfig = PAIR, model: ForecasterConfig = MODEL
) -> Plan:
    return make_plan(data, peephole_arms(config.arms, model, training), config, Path("out"), lambda: False)


def test_a_plan_has_the_seeds_from_the_first_on_and_what_was_asked_for(data: VideoData) -> None:
    plan = planned(data, dataclasses.replace(TRAINING, seed=7))
    assert plan.seeds == (7, 8)
    assert [arm.training.max_steps for arm in plan.arms] == [3, 3]
    assert [arm.step_seconds for arm in plan.arms] == [1.0, 1.0]
    assert plan.settings["training"]["max_steps"] == 3
    assert plan.settings["model"]["peephole"] == "none"
    assert plan.compare == PAIR


def test_networks_get_the_channels_of_the_data(data: VideoData) -> None:
    plan = planned(data, model=dataclasses.replace(MODEL, channels=3))
    assert {arm.model.channels for arm in plan.arms} == {data.channels} == {1}


def test_a_batch_that_fits_is_settled_for_all_arms(data: VideoData) -> None:
    plan = planned(data, dataclasses.replace(TRAINING, batch_size=AUTO_BATCH))
    assert {arm.training.batch_size for arm in plan.arms} == {plan.settings["training"]["batch_size"]}
    assert plan.arms[0].training.batch_size > 0


def test_without_a_limit_the_whole_takes_its_default_time(data: VideoData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "DEFAULT_TIME", 10.0)
    plan = planned(data, dataclasses.replace(TRAINING, max_steps=None))
    assert {arm.training.max_steps for arm in plan.arms} == {2}  # 4 trainings of 2.5 s, validation in them
    assert plan.settings["training"]["max_time"] is None  # which nobody asked for


def test_arms_that_are_alike_are_refused(data: VideoData) -> None:
    arms = [Arm(name, MODEL, TRAINING) for name in ("one", "other")]
    with pytest.raises(UsageError, match="the arms one and other are set alike"):
        make_plan(data, arms, PAIR, Path("out"), lambda: False)


def test_a_device_that_is_not_there_is_refused_before_anything_is_timed(
    data: VideoData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "time_steps", lambda *_: pytest.fail("steps were timed"))
    with pytest.raises(UsageError, match="--device"):
        planned(data, config=dataclasses.replace(PAIR, devices=("cpu", "abacus")))


def test_asked_to_stop_while_steps_are_timed_it_stops(data: VideoData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(Interrupted):
        make_plan(data, peephole_arms(PAIR.arms, MODEL, TRAINING), PAIR, Path("out"), lambda: True)
