from pathlib import Path

import pytest
from made_plans import plan_with

from convlstm_cli.comparing.explicit_settings import NOTHING_EXPLICIT, ExplicitSettings
from convlstm_cli.comparing.plan import Plan
from convlstm_cli.comparing.resuming import with_explicit
from convlstm_cli.errors import UsageError


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan with two seeds of `none` and `channel`, as it is read from disk."""
    plan_with(tmp_path / "out").write()
    return Plan.read(tmp_path / "out")


def test_nothing_asked_changes_nothing(plan: Plan) -> None:
    assert with_explicit(plan, NOTHING_EXPLICIT) == plan


def test_what_is_asked_for_as_it_is_recorded_changes_nothing(plan: Plan) -> None:
    explicit = ExplicitSettings(
        data={"folders": ("/x",), "height": 32, "width": 32, "fit": "pad"},
        model={"hidden": (4,), "kernel_size": 3},
        training={"learning_rate": 0.003, "augment": ("hflip",), "batch_size": 4},
        compare={"arms": ("none", "channel"), "seeds": 2, "match": "steps"},
    )
    assert with_explicit(plan, explicit) == plan


@pytest.mark.parametrize(
    ("explicit", "words"),
    [
        (ExplicitSettings(data={"folders": ("/y",)}), r"FOLDER is /y and .*out was begun with /x"),
        (ExplicitSettings(data={"height": 64, "width": 32}), r"--size is 64x32 and .*out was begun with 32x32"),
        (ExplicitSettings(data={"fit": "crop"}), "--fit is crop and this run was begun with pad"),
        (ExplicitSettings(model={"horizon": 9}), "--frames is 9 and this run was begun with 3"),
        (ExplicitSettings(training={"learning_rate": 0.1}), "--learning-rate is 0.1"),
        (ExplicitSettings(training={"max_steps": 9}), "--max-steps is 9"),
        (ExplicitSettings(compare={"match": "time"}), "--match is time"),
        (ExplicitSettings(compare={"arms": ("none", "full")}), "--arms is"),
        (ExplicitSettings(compare={"seeds": 1}), "--seeds is 1 and .* has 2 already"),
        (ExplicitSettings(compare={"seeds": 1001}), "--seeds is 1001"),
        (ExplicitSettings(compare={"jobs": 0}), "--jobs is 0"),
        (ExplicitSettings(compare={"devices": ("cpu", "abacus")}), "--device"),
        (ExplicitSettings(training={"device": "abacus"}), "--device"),
    ],
)
def test_what_would_change_the_comparison_is_refused(plan: Plan, explicit: ExplicitSettings, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        with_explicit(plan, explicit)


def test_the_option_that_the_arms_differ_in_has_no_one_value(plan: Plan) -> None:
    assert with_explicit(plan, ExplicitSettings(model={"peephole": "full"})) == plan  # such as a preset gives


def test_seeds_are_added_and_it_computes_and_saves_elsewhere(plan: Plan) -> None:
    explicit = ExplicitSettings(
        training={"save_every": 5.0, "checkpoint_every": 2, "batch_size": 0},  # 0 is auto, settled long ago
        compare={"seeds": 4, "jobs": 2, "devices": ("cpu", "cpu")},
    )
    changed = with_explicit(plan, explicit)
    assert changed.seeds == (0, 1, 2, 3)
    assert (changed.compare.seeds, changed.compare.jobs, changed.compare.devices) == (4, 2, ("cpu", "cpu"))
    assert {(arm.training.save_every, arm.training.checkpoint_every) for arm in changed.arms} == {(5.0, 2)}
    assert {arm.training.batch_size for arm in changed.arms} == {4}
    changed.write()
    assert Plan.read(plan.folder) == changed


def test_a_device_asked_for_takes_the_place_of_several(plan: Plan) -> None:
    several = with_explicit(plan, ExplicitSettings(compare={"devices": ("cpu", "cpu")}))
    one = with_explicit(several, ExplicitSettings(training={"device": "cpu"}))
    assert one.compare.devices == ()
    assert {arm.training.device for arm in one.arms} == {"cpu"}
