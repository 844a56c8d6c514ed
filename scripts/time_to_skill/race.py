"""Trains the rival and ours in turns on one machine, and finds when ours has the rival's final error."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from convlstm_cli.errors import Interrupted
from moving_mnist import testing
from moving_mnist.settings import Settings
from moving_mnist.training import Clips, Say, ShouldStop, Training

TURN = 20.0
"""Seconds of training before the next system has its turn, so that a machine that slows down slows all of them."""
LONG, SHORT, RIVAL = "ours", "ours, short", "plain"


@dataclass(frozen=True)
class Result:
    """Who is how good after how long."""

    time_ratio: float | None
    """Training time of ours until its validation MSE is at most the rival's at the end, over that of the rival's whole
    training; None where ours never gets there."""
    mse_ratio: float
    """Test MSE of ours over the rival's, both after the whole time."""
    mse_interval: tuple[float, float]
    """95 % of a paired bootstrap over the test clips."""
    reached_by: str | None
    """Which training of ours gets there first."""
    step_seconds: dict[str, float]
    steps: dict[str, int]
    curves: dict[str, list[dict[str, Any]]]
    """Points of the learning curves, each with `steps` and `validation_mse`."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def trainings(
    settings: Settings, steps: Mapping[str, int], share: float, source: Clips, folder: Path
) -> dict[str, Training]:
    """The rival, ours, and ours with a schedule that ends after `share` of the time."""
    short = max(1, round(share * steps["ours"]))
    lengths = {RIVAL: ("plain", steps["plain"]), LONG: ("ours", steps["ours"]), SHORT: ("ours", short)}
    return {
        label: Training(system, replace(settings, systems=(system,)), source, count, folder / f"{system}-{count}-steps")
        for label, (system, count) in lengths.items()
    }


def run(all_of_them: Mapping[str, Training], should_stop: ShouldStop, say: Say) -> None:
    """Trains all to their ends, in turns. Raises Interrupted, after saving, when `should_stop` returns True."""
    while waiting := [training for training in all_of_them.values() if not training.ended]:
        for training in waiting:
            try:
                training.run(_turn_of(training, should_stop), say)
            except Interrupted:
                if should_stop():
                    raise


def _turn_of(training: Training, should_stop: ShouldStop) -> ShouldStop:
    """Asks a training to stop at the end of its turn, which holds a step at least, so that a validation can end."""
    end, before = time.monotonic() + TURN, training.state["steps"]
    return lambda: should_stop() or (time.monotonic() > end and training.state["steps"] > before)


def result(
    trained: Mapping[str, Training],
    step_seconds: dict[str, float],
    source: Clips,
    test_clips: int,
    folder: Path,
    should_stop: ShouldStop,
    say: Say,
) -> Result:
    """Scores the two long trainings on the test clips and reads the curves. Raises Interrupted after saving."""
    curves = {label: training.state["curve"] for label, training in trained.items()}
    rows = {
        label: testing.test(label, trained[label].system.forecast, source, test_clips, folder, should_stop, say)
        for label in (LONG, RIVAL)
    }
    ratio = testing.ratio(rows[LONG], rows[RIVAL])
    reached = first_as_good(curves, step_seconds, trained[RIVAL].steps)
    return Result(
        time_ratio=None if reached is None else reached[0],
        mse_ratio=ratio["ratio"],
        mse_interval=(ratio["low"], ratio["high"]),
        reached_by=None if reached is None else reached[1],
        step_seconds=step_seconds,
        steps={label: training.steps for label, training in trained.items()},
        curves=curves,
    )


def first_as_good(
    curves: Mapping[str, list[dict[str, Any]]], step_seconds: Mapping[str, float], rival_steps: int
) -> tuple[float, str] | None:
    """When ours first has at most the rival's last validation MSE, as a share of the rival's time, and which of ours.

    Times are steps times the median time of a step, which all systems had measured in turn. None where ours never has.
    """
    wanted = curves[RIVAL][-1]["validation_mse"]
    whole = rival_steps * step_seconds["plain"]
    found = [
        (point["steps"] * step_seconds["ours"] / whole, label)
        for label in (SHORT, LONG)
        for point in curves[label]
        if point["validation_mse"] <= wanted
    ]
    return min(found, default=None)
