"""Shards: the share of the inputs that each of several processes takes. The processes need not communicate."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from convlstm_cli.errors import UsageError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """One share out of `count`, numbered from 0. Raises UsageError for a number that does not exist."""

    index: int = 0
    count: int = 1
    set_by: str = "--shard"
    """The option or the environment variables that it comes from."""

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise UsageError(
                f"{self.set_by} is {self}; shards count from 0, so that those of {max(self.count, 1)} are "
                f"0/{max(self.count, 1)} to {max(self.count, 1) - 1}/{max(self.count, 1)}."
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every `count`-th item, beginning with the one at `index`."""
        return items[self.index :: self.count]


def parse_shard(text: str) -> Shard:
    """`0/4` as the first of four. Raises UsageError."""
    if not re.fullmatch(r"\d+/\d+", text.strip()):
        raise UsageError(f"--shard is {text!r}; give the share and how many there are, from 0/4 to 3/4.")
    index, count = map(int, text.split("/"))
    return Shard(index, count)


def from_environment(variables: Mapping[str, str]) -> Shard:
    """The share that torchrun, or else a Slurm array, gives to this process; all inputs where there is neither.

    Raises UsageError for variables that make no sense, and for an array that is not evenly spaced: a task of it
    cannot compute how many tasks come before it.
    """
    if variables.get("WORLD_SIZE", "1") != "1":
        read = _numbers(variables, {"RANK": None, "WORLD_SIZE": None})
        return Shard(read["RANK"], read["WORLD_SIZE"], "RANK/WORLD_SIZE")
    if variables.get("SLURM_ARRAY_TASK_COUNT", "1") != "1":
        wanted = {"ID": None, "COUNT": None, "MIN": 0, "STEP": 1}
        read = _numbers(variables, {f"SLURM_ARRAY_TASK_{name}": default for name, default in wanted.items()})
        task, count, first, step = (read[f"SLURM_ARRAY_TASK_{name}"] for name in wanted)
        last = _numbers(variables, {"SLURM_ARRAY_TASK_MAX": first + step * (count - 1)})["SLURM_ARRAY_TASK_MAX"]
        if step < 1 or (task - first) % step or (last - first) // step + 1 != count:
            raise UsageError(
                f"the Slurm array is not evenly spaced ({count} tasks from {first} to {last}), so that task {task} "
                "cannot compute its share; give --shard, or an array such as 0-3 or 0-6:2."
            )
        return Shard((task - first) // step, count, "SLURM_ARRAY_TASK_ID/SLURM_ARRAY_TASK_COUNT")
    return Shard()


def _numbers(variables: Mapping[str, str], wanted: Mapping[str, int | None]) -> dict[str, int]:
    """Variables as numbers, with defaults for missing ones. Raises UsageError for others than numbers."""
    found = {}
    for name, default in wanted.items():
        text = variables.get(name, "" if default is None else str(default))
        if not re.fullmatch(r"\d{1,9}", text):
            has = f"is {text!r}" if text else "is not there"
            raise UsageError(f"{name} {has}, and should be a number here; mend it, or give --shard.")
        found[name] = int(text)
    return found
