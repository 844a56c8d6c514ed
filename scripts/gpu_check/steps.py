"""The steps of scripts/gpu-check in their order, each with its time limit."""

from collections.abc import Callable
from typing import NamedTuple

from gpu_check import commands, speed, suite
from gpu_check.run import Context


class Step(NamedTuple):
    """A step: it says in a line what it saw, or raises Failed or Skipped."""

    work: Callable[[Context], str]
    limit: float
    """Seconds."""


STEPS = {
    "machine": Step(commands.machine, 90),
    "tests": Step(suite.tests, 130),
    "train": Step(commands.train, 80),
    "launches": Step(speed.launches, 90),
    "speed": Step(speed.measure, 90),
    "precision": Step(commands.precision, 60),
    "native-size": Step(commands.native_size, 30),
    "tiled": Step(commands.tiled, 30),
    "evaluate": Step(commands.evaluate, 40),
    "compare": Step(commands.compare, 80),
    "export": Step(commands.export, 90),
}
"""What only a GPU can show comes first, in case that the time is over before the end."""
MEASURED = ("launches", "speed")
"""Steps that leave a table of figures."""
BUDGET = 475
"""Seconds of all steps together; what is not done then has failed."""
