"""The state of a training, which resume.pt holds beside what an optimiser step depends on. Imports no torch."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Self

from convlstm_cli.runs.record import as_object, build
from convlstm_cli.runs.records import EpochRecord
from convlstm_cli.settings import MAX_COUNT

ADDED_LATER = {"skipped", "in_a_row", "went_back"}
"""Entries that resume.pt of the first version lacks."""


@dataclass
class State:
    """Where training is. Raises ValueError for counters that no training has."""

    epoch: int = 0
    """Epochs that have ended."""
    position: int = 0
    """Batches done of the current epoch."""
    steps: int = 0
    """Optimiser steps so far."""
    seconds: float = 0.0
    """Wall-clock time so far."""
    loss_sum: float = 0.0
    """Sum over the current epoch's batches that were learned from."""
    skipped: int = 0
    """The current epoch's batches that were not, because the loss or its gradient was not finite."""
    in_a_row: int = 0
    """How many of the last steps were skipped."""
    went_back: int = 0
    """Times that training went back to a checkpoint because of too many of them."""
    best_mse: float = math.inf
    """Least MSE of a validation so far."""
    best_epoch: int = 0
    """The epoch that had it, from 1; 0 before the first has ended, or for the weights that training started from."""
    history: list[EpochRecord] = field(default_factory=list)
    """The epochs that have ended."""

    def __post_init__(self) -> None:
        counts = (self.epoch, self.position, self.steps, self.skipped, self.in_a_row, self.went_back, self.best_epoch)
        if not all(0 <= count <= MAX_COUNT for count in (*counts, self.seconds)):
            raise ValueError("a count of its steps, epochs or seconds is out of range")
        if not math.isfinite(self.loss_sum) or math.isnan(self.best_mse):
            raise ValueError("its loss is not finite")
        if self.best_epoch > self.epoch or (self.epoch and not self.history):
            raise ValueError("its epochs do not add up")

    @property
    def mean_loss(self) -> float:
        """Mean loss of the current epoch so far, of the batches that were learned from."""
        return self.loss_sum / (self.position - self.skipped)

    @classmethod
    def from_plain(cls, content: Any) -> Self:
        """The state of what `to_plain` gives. Raises ValueError for anything else."""
        entries = as_object(content)
        if missing := sorted({each.name for each in fields(cls)} - ADDED_LATER - entries.keys()):
            raise ValueError(f"there is no {missing[0]}")
        history = [EpochRecord.from_json(row) for row in build(list[Any], entries["history"])]
        return build(cls, {**entries, "history": history})

    def to_plain(self) -> dict[str, Any]:
        """The state as numbers, lists and dicts, which resume.pt may hold."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**own, "history": [row.to_json() for row in self.history]}
