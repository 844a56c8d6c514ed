from dataclasses import asdict, replace
from pathlib import Path

import pytest
from helpers import data_record
from made_plans import MODEL

from convlstm_cli.comparing.pairing import pair_runs
from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import Peephole
from convlstm_cli.runs.run import Run
from convlstm_cli.training.config import TrainConfig


def run(name: str, peephole: Peephole = "channel", seed: int = 0, **training: float) -> Run:
    """A run that has not begun its first epoch."""
    config = {
        "model": asdict(replace(MODEL, peephole=peephole)),
        "training": asdict(replace(TrainConfig(seed=seed), **training)),  # type: ignore[arg-type]
        "data": data_record(32, 32),
    }
    return Run(Path("runs") / name, config)


def test_runs_of_the_same_settings_are_one_arm_in_the_order_of_their_seeds() -> None:
    runs = [run("a", seed=1), run("b", "none", 1), run("c", seed=0), run("d", "none", 0)]
    arms, _ = pair_runs(runs)
    assert [(arm.name, [each.name for each in arm.runs]) for arm in arms] == [
        ("channel", ["c", "a"]),
        ("none", ["d", "b"]),
    ]


def test_arms_of_one_peephole_are_named_after_their_runs() -> None:
    arms, _ = pair_runs([run("slow", learning_rate=1e-4), run("truth", learning_rate=1e-2)])
    assert [arm.name for arm in arms] == ["slow", "truth-2"]  # a row of the films is called truth


def test_where_and_how_often_a_run_saved_makes_no_other_arm() -> None:
    moved = run("b", seed=1, save_every=1.0)
    moved.config["training"]["device"] = "cuda:3"
    arms, warnings = pair_runs([run("a"), moved])
    assert [arm.name for arm in arms] == ["a", "b"]
    assert warnings[0].startswith("The runs differ in nothing but the seed, so any difference between them is luck")


def test_unlike_seeds_and_unfinished_trainings_are_warned_about() -> None:
    _, warnings = pair_runs([run("a", seed=3), run("b", "none", 4)])
    assert warnings == [
        "The seeds differ (channel has 3; none has 4), so that pairs share neither initial values nor the order of the "
        "clips.",
        "Not all of the trainings are finished.",
    ]


def test_runs_that_make_no_pairs_are_refused() -> None:
    channel, none = run("channel"), run("none", "none")
    with pytest.raises(UsageError, match="two runs"):
        pair_runs([channel])
    with pytest.raises(UsageError, match=r"2 like .*channel; 1 like .*none"):
        pair_runs([channel, run("channel-1", seed=1), none])
    with pytest.raises(UsageError, match="same seed"):
        pair_runs([channel, run("copy"), none, run("none-1", "none", seed=1)])
