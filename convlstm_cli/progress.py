"""Reports of progress by the long commands. Silent here; `cli/console.py` shows them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class StepReport:
    """One optimiser step that has ended."""

    steps: int
    """Optimiser steps so far, this one included."""
    epoch: int
    """The epoch that it belongs to, from 1."""
    loss: float
    """Mean loss of the epoch so far."""
    clips_per_second: float
    share: float
    """Share of the training's budget that is used, in [0, 1]."""
    seconds_left: float | None
    """Estimate of the time that is left; None while there is nothing to estimate from."""


class Progress:
    """Reports that do nothing. A subclass that shows them must be quick, since some come after every step."""

    def indexing(self, video: str, position: int, total: int) -> None:
        """A video is about to be decoded, or found in the cache; the first has position 1."""

    def started(self, folder: Path, steps: int) -> None:
        """Training begins in `folder`, with `steps` already done."""

    def stepped(self, step: StepReport) -> None:
        """An optimiser step has ended."""

    def validating(self, done: int, total: int) -> None:
        """`done` of `total` clips are scored."""

    def epoch_ended(self, row: dict[str, Any], improved: bool) -> None:
        """An epoch is validated and saved; `row` is its line of metrics.jsonl."""

    def finished(self) -> None:
        """The activity that was reported last has ended."""

    def comparing(self, done: float, total: int, name: str) -> None:
        """`done` of `total` trainings of a comparison are made, parts of one counted; `name` is under way."""

    def predicting(self, name: str, done: int, total: int) -> None:
        """`done` of `total` inputs are forecast, and `name` is next."""

    def watching(self, name: str, done: int, total: int | None) -> None:
        """`done` frames of a video are judged; it declares `total`, or None where it does not say."""

    def note(self, message: str) -> None:
        """A message for the user that is no error."""
