"""The benchmark of the time to skill: three trainings in turns, interruption and resumption, and its two ratios."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import moving_square

import benchmark_time_to_skill as benchmark
from convlstm_cli.errors import Interrupted, UsageError
from moving_mnist import testing, training
from time_to_skill import race

SMALL = ["--hidden", "2", "--patch-size", "16", "--batch-size", "2", "--validation-sequences", "3", "--curve", "2"]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs the benchmark on made-up videos; `should_stop` returns True after `stop_after` calls."""
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(testing, "RESAMPLES", 20)
    monkeypatch.setattr(race, "TURN", 0.0)  # each system has a step at a time
    for seed in range(3):
        (tmp_path / "videos").mkdir(exist_ok=True)
        np.save(tmp_path / "videos" / f"{seed}.npy", moving_square(24, seed))

    def run(*options: str, output: str = "out", stop_after: float = math.inf) -> dict[str, Any]:
        asked = 0

        def should_stop() -> bool:
            nonlocal asked
            asked += 1
            return asked > stop_after

        words = ["--videos", str(tmp_path / "videos"), "-o", str(tmp_path / output), *SMALL, "--steps", "4", *options]
        return benchmark.run(benchmark.parser().parse_args(words), should_stop, lambda _: None)

    return run


def test_an_interrupted_race_ends_as_an_undisturbed_one(call: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    whole = call("--share", "0.5")
    assert whole["steps"] == {"plain": 4, "ours": 4, "ours, short": 2}
    assert [len(curve) for curve in whole["curves"].values()] == [2, 2, 2]
    with pytest.raises(Interrupted):
        call("--share", "0.5", output="again", stop_after=10)
    assert not (tmp_path / "again" / "result.json").exists()
    again = call("--share", "0.5", output="again")
    assert again["mse_ratio"] == whole["mse_ratio"]
    assert json.dumps(again["curves"][race.SHORT][-1]["validation_mse"]) == json.dumps(
        whole["curves"][race.SHORT][-1]["validation_mse"]
    )


def test_the_time_is_that_of_the_first_point_as_good_as_the_rivals_end() -> None:
    def curve(*errors: float) -> list[dict[str, Any]]:
        return [{"steps": 10 * (at + 1), "validation_mse": error} for at, error in enumerate(errors)]

    curves = {race.RIVAL: curve(9, 5, 4), race.LONG: curve(6, 3, 2), race.SHORT: curve(5, 4.5)}
    seconds = {"ours": 2.0, "plain": 1.0}
    assert race.first_as_good(curves, seconds, 80) == (20 * 2.0 / 80, race.LONG)
    assert race.first_as_good({**curves, race.SHORT: curve(4)}, seconds, 80) == (10 * 2.0 / 80, race.SHORT)
    assert race.first_as_good({**curves, race.LONG: curve(6)}, seconds, 80) is None


def test_a_share_beyond_the_time_is_refused(call: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match="--share is 2"):
        call("--share", "2")
