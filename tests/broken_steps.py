"""Training steps that fail at chosen step numbers."""

from collections.abc import Callable

import pytest

from convlstm_cli.training.step import TrainStep


class BrokenStep(TrainStep):
    """Has the steps to break, by their numbers from 0, counted over all attempts."""

    numbers: range = range(0)
    made = 0

    @classmethod
    def breaks_next(cls) -> bool:
        """Counts a step, and returns whether it is one of those to break."""
        cls.made += 1
        return cls.made - 1 in cls.numbers


def breaking(monkeypatch: pytest.MonkeyPatch, kind: type[BrokenStep], module: object) -> Callable[[range], None]:
    """A function that makes `module` train with steps of this kind and breaks those of the numbers that it is given."""

    def break_them(numbers: range) -> None:
        monkeypatch.setattr(kind, "numbers", numbers)
        monkeypatch.setattr(kind, "made", 0)
        monkeypatch.setattr(module, "TrainStep", kind)

    return break_them
