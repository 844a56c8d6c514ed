"""What the long commands tell while they work. Silent here; `console.py` shows it."""

from pathlib import Path
from typing import Any

from convlstm_cli.schedule import Budget


class Progress:
    """Calls that do nothing. A subclass that shows them must be quick: some come after every step."""

    def indexing(self, video: str, position: int, total: int) -> None:
        """A video is about to be decoded, or found in the cache; the first has position 1."""

    def started(self, folder: Path, budget: Budget, steps: int) -> None:
        """Training begins in `folder`, with `steps` already done."""

    def stepped(self, steps: int, loss: float, clips_per_second: float, seconds: float) -> None:
        """An optimiser step has ended; `loss` is the epoch's mean so far, `seconds` the training's time."""

    def validating(self, done: int, total: int) -> None:
        """`done` of `total` clips are scored."""

    def epoch_ended(self, row: dict[str, Any], improved: bool) -> None:
        """An epoch is validated and saved; `row` is its line of metrics.jsonl."""

    def finished(self) -> None:
        """The training that `started` told of has ended."""

    def comparing(self, done: float, total: int, name: str) -> None:
        """`done` of `total` trainings of a comparison are made, parts of one counted; `name` says which goes on."""

    def predicting(self, name: str, done: int, total: int) -> None:
        """`done` of `total` inputs are forecast, and `name` is next."""

    def note(self, message: str) -> None:
        """Something that the user should know and that is no error."""
