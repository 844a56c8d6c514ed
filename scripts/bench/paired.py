"""Times of processes and of work in this one, taken in pairs, so that whatever else the machine does slows both."""

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

Own = TypeVar("Own")
Other = TypeVar("Other")


class Times(NamedTuple):
    """Seconds that a process took."""

    wall: float
    """What a user waits."""
    processor: float
    """The steadier of the two on a busy machine."""


class Compared(NamedTuple):
    """Medians over pairs of processes: seconds of each, and the ratio."""

    own: float
    other: float
    ratio: float


def seconds(command: Sequence[str]) -> Times:
    """Runs a process. Raises CalledProcessError where it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    waited, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Times(waited, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def timed(work: Callable[[], object]) -> float:
    """Seconds that work in this process takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(own: Callable[[], Own], other: Callable[[], Other], runs: int) -> list[tuple[Own, Other]]:
    """What two measurements give, `runs` times in turn, after one pair that fills the disk cache."""
    return [(own(), other()) for _ in range(runs + 1)][1:]


def medians(pairs: Iterable[tuple[float, float]]) -> Compared:
    """Compares the times of pairs."""
    pairs = list(pairs)
    own, other = (statistics.median(each) for each in zip(*pairs, strict=True))
    return Compared(own, other, statistics.median(a / b for a, b in pairs))
