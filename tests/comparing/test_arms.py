from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from helpers import data_record
from made_plans import MODEL

from convlstm_cli.comparing.arms import (
    arm_names,
    named_runs,
    peephole_arms,
    recorded_arms,
    recorded_data,
    varied_arms,
)
from convlstm_cli.comparing.explicit_settings import ExplicitSettings
from convlstm_cli.comparing.variation import Variation
from convlstm_cli.errors import UsageError
from convlstm_cli.runs.run import Run
from convlstm_cli.training.config import TrainConfig

TRAINING = TrainConfig(max_steps=3, device="cpu")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Makes a run folder as it is before the first epoch has ended."""

    def make(name: str, training: TrainConfig = TRAINING, **model: object) -> Run:
        data = data_record(32, 32)
        data["settings"] |= {"colour": "auto", "stride": 1}
        config = {"model": asdict(replace(MODEL, **model)), "training": asdict(training), "data": data}  # type: ignore[arg-type]
        run = Run.create(tmp_path / name, config)
        (run.folder / "resume.pt").touch()
        return run

    return make


def test_kinds_of_peephole_are_arms_alike_in_all_else() -> None:
    arms = peephole_arms(("none", "full"), MODEL, TRAINING)
    assert [(arm.name, arm.model.peephole) for arm in arms] == [("none", "none"), ("full", "full")]
    assert {replace(arm.model, peephole="none") for arm in arms} == {replace(MODEL, peephole="none")}
    with pytest.raises(UsageError, match="--arms is 'some'"):
        peephole_arms(("none", "some"), MODEL, TRAINING)


def test_values_of_one_option_are_arms_alike_in_all_else() -> None:
    rates = varied_arms(Variation.read("learning-rate=1e-3,0.01"), MODEL, TRAINING)
    assert [(arm.name, arm.training.learning_rate) for arm in rates] == [
        ("learning-rate=1e-3", 0.001),
        ("learning-rate=0.01", 0.01),
    ]
    assert {replace(arm.training, learning_rate=TRAINING.learning_rate) for arm in rates} == {TRAINING}
    kernels = varied_arms(Variation.read("recurrent-kernel-size=5,none"), MODEL, TRAINING)
    assert [arm.model.recurrent_kernel_size for arm in kernels] == [5, None]
    widths = varied_arms(Variation.read("hidden=2;3,4"), MODEL, TRAINING)
    assert [arm.model.hidden for arm in widths] == [(2,), (3, 4)]
    norms = varied_arms(Variation.read("layer_norm=off,on"), MODEL, TRAINING)
    assert [(arm.name, arm.model.layer_norm) for arm in norms] == [("layer-norm=off", False), ("layer-norm=on", True)]
    kinds = Variation.read("--peephole=none,full")
    assert varied_arms(kinds, MODEL, TRAINING) == peephole_arms(("none", "full"), MODEL, TRAINING)
    with pytest.raises(UsageError, match=r"--dropout is 2\.0"):
        varied_arms(Variation.read("dropout=0,2"), MODEL, TRAINING)


def test_names_of_arms_are_kinds_or_runs(make_run: Callable[..., Run]) -> None:
    one, other = make_run("one").folder, make_run("other").folder
    assert named_runs(("none", "channel")) == []
    assert [run.folder for run in named_runs((str(one), str(other)))] == [one, other]
    with pytest.raises(UsageError, match=r"--arms is .*; give kinds of peephole .*, and channel is no run"):
        named_runs((str(one), "channel"))
    with pytest.raises(UsageError, match="nowhere is no run"):
        named_runs(("none", "nowhere"))


def test_recorded_arms_keep_their_settings_and_get_the_given_limits_and_seed(make_run: Callable[..., Run]) -> None:
    slow = replace(TRAINING, learning_rate=1e-4, seed=5, epochs=7)
    runs = [make_run("a"), make_run("truth", slow, hidden=(2,))]
    arms = recorded_arms(runs, TrainConfig(max_steps=2, seed=1, device="cpu", learning_rate=0.5))
    assert [arm.name for arm in arms] == ["a", "truth-2"]  # a row of the films is called truth
    assert [arm.model.hidden for arm in arms] == [(4,), (2,)]
    assert [arm.training.learning_rate for arm in arms] == [TRAINING.learning_rate, 1e-4]
    assert {(arm.training.seed, arm.training.max_steps, arm.training.epochs) for arm in arms} == {(1, 2, None)}


def test_runs_of_other_clips_are_refused(make_run: Callable[..., Run]) -> None:
    with pytest.raises(UsageError, match=r"--arms: .*a has --frames 3 and .*b has --frames 2; all arms"):
        recorded_arms([make_run("a"), make_run("b", horizon=2)], TRAINING)


@pytest.mark.parametrize(
    ("explicit", "flag"),
    [
        (ExplicitSettings(model={"horizon": 5}), "--frames"),
        (ExplicitSettings(training={"learning_rate": 0.1, "seed": 1}), "--learning-rate"),
        (ExplicitSettings(data={"height": 64, "width": 64}), "--size"),
    ],
)
def test_what_is_on_record_cannot_be_asked_for(
    make_run: Callable[..., Run], explicit: ExplicitSettings, flag: str
) -> None:
    runs = [make_run("a"), make_run("b", hidden=(2,))]
    with pytest.raises(UsageError, match=f"{flag} is recorded in the runs of --arms"):
        recorded_arms(runs, TRAINING, explicit)
    free = ExplicitSettings(
        data={"split_seed": 3}, training={"seed": 1, "max_steps": 5, "device": "cpu"}, compare={"seeds": 9}
    )
    assert len(recorded_arms(runs, TRAINING, free)) == 2


def test_data_of_recorded_arms_are_those_of_the_run_but_for_what_is_asked(make_run: Callable[..., Run]) -> None:
    run = make_run("a")
    run.config["data"]["settings"] |= {"fit": "crop", "split_seed": 4}
    data = recorded_data(run, [Path("/videos")], ExplicitSettings(data={"validation": 0.2}))
    assert (data.folders, data.height, data.fit, data.split_seed, data.validation) == (("/videos",), 32, "crop", 4, 0.2)


def test_names_are_numbered_where_films_have_them_already() -> None:
    assert arm_names(["a", "a", "truth", "a-2", "copying"]) == ["a", "a-2", "truth-2", "a-2-2", "copying-2"]
