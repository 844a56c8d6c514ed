"""Learning-rate schedules, in one registry: what follows the warm-up."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from convlstm_cli.registry import Registry

LOWEST_RATE = 0.01
"""The learning rate starts and, where it falls, ends at this share of its highest value."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes after the warm-up."""

    name: str
    doc: str
    """What it does, in a few words."""
    rate: Callable[[float], float]
    """Share of the training after the warm-up that is over, in [0, 1], to a share of the highest learning rate."""


def _cosine(done: float) -> float:
    return LOWEST_RATE + (1.0 - LOWEST_RATE) * 0.5 * (1.0 + math.cos(math.pi * done))


SCHEDULES: Registry[Schedule] = Registry(
    "schedule",
    (
        Schedule("cosine", "falls as half a cosine to a hundredth", _cosine),
        Schedule("constant", "stays", lambda _done: 1.0),
    ),
)
