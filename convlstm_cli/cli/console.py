"""Writes to the terminal: results to stdout, messages and progress to stderr. Nothing else in the package prints."""

import contextlib
import json
import math
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from rich.markup import escape

from convlstm_cli.cli.terminal import Terminal
from convlstm_cli.compute.stopping import StopRequest
from convlstm_cli.paths import printable
from convlstm_cli.progress import Progress, StepReport
from convlstm_cli.reporting.numbers import figure
from convlstm_cli.video.values import unit_power

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

VERBOSE_SECONDS = 5.0
"""Least time between the lines of --verbose."""

NEXT_LINE = re.compile(r"\n(?=  )")
"""Before a further line of a message."""

out = Terminal(highlight=False)
err = Terminal(stderr=True, highlight=False)
if not out.is_terminal and "COLUMNS" not in os.environ:
    out.width = 160  # a file has no width, and Rich's default of 80 would cut off long names


def show(*results: RenderableType) -> None:
    """Prints results to stdout."""
    for result in results:
        if isinstance(result, str):
            out.print(_visible(result), soft_wrap=True, markup=False)
        else:
            out.print(result)


def show_json(result: Any) -> None:
    """Prints a result to stdout as JSON and nothing else."""
    sys.stdout.write(json.dumps(result, indent=2, default=str, allow_nan=False) + "\n")


def show_message(message: str) -> None:
    """Prints a message to stderr."""
    err.print(_visible(message), soft_wrap=True, markup=False)


def show_error(message: str) -> None:
    """Prints an error to stderr."""
    err.print(f"[bold red]error:[/] {escape(_visible(message))}", soft_wrap=True)


class ConsoleProgress(Progress):
    """Shows progress on stderr: bars on a terminal, a line for each epoch elsewhere.

    `verbose` adds a line every few seconds, for logs of long epochs. `quiet` shows nothing.
    """

    _made: ClassVar[list["ConsoleProgress"]] = []

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self._made.append(self)
        self._quiet = quiet
        self._verbose = verbose
        self._last_line = time.monotonic()
        self._bars = _bars() if err.is_terminal and not quiet else None
        self._task: TaskID | None = None
        self._skill = ""
        self._speed = 0.0

    def indexing(self, video: str, position: int, total: int) -> None:
        self._show("reading videos", (position - 1) / total, f"{position}/{total} {video}")

    def started(self, folder: Path, steps: int) -> None:
        self.finished()
        self._skill = ""
        self.note(f"{'training' if not steps else f'going on from step {steps}'} in {folder}")

    def stepped(self, step: StepReport) -> None:
        # Smoothed, because the speed of single steps varies.
        speed = step.clips_per_second
        self._speed = speed if not self._speed else 0.9 * self._speed + 0.1 * speed
        time_left = "" if step.seconds_left is None else f" · {_duration(step.seconds_left)} left"
        detail = f"epoch {step.epoch} · loss {step.loss:.5f}{self._skill} · {self._speed:.1f} clips/s{time_left}"
        self._show("training", step.share, detail)

    def validating(self, done: int, total: int) -> None:
        self._show("scoring", done / total, f"{done}/{total} clips")

    def epoch_ended(self, row: dict[str, Any], improved: bool) -> None:
        validation = row["validation"]
        model, copy = validation["model"]["mean"], validation["persistence"]["mean"]
        against = f" · {model['mse'] / copy['mse']:.2f} × copying" if copy["mse"] else ""
        self._skill = against
        psnr = "∞" if model["psnr"] is None else f"{model['psnr']:.2f}"
        error = figure(model["mse"], unit_power(validation["model"].get("unit", ""), 2))
        self.note(
            f"epoch {row['epoch']:3d} · loss {row['train_loss']:.5f} · validation MSE {error}{against} · "
            f"PSNR {psnr} · SSIM {model['ssim']:.3f} · {self._speed:.1f} clips/s · {_duration(row['seconds'])}"
            f"{' · best so far' if improved else ''}"
        )

    def comparing(self, done: float, total: int, name: str) -> None:
        self._show("training", done / total, f"{math.floor(done)} of {total} trainings done · {name}")

    def predicting(self, name: str, done: int, total: int) -> None:
        self._show("forecasting", done / total, f"{done + 1}/{total} {name}")

    def watching(self, name: str, done: int, total: int | None) -> None:
        share = min(done / total, 1.0) if total else 0.0
        self._show("watching", share, f"{done}{f'/{total}' if total else ''} frames of {name}")

    def finished(self) -> None:
        if self._bars is None:
            return
        self._bars.stop()
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    @classmethod
    def clear(cls) -> None:
        """Removes every bar from the terminal and shows the cursor again, for commands that end in an error."""
        while cls._made:
            cls._made.pop().finished()

    def note(self, message: str) -> None:
        if not self._quiet:
            show_message(message)

    def _show(self, description: str, share: float, detail: str) -> None:
        if self._verbose and time.monotonic() - self._last_line > VERBOSE_SECONDS:
            self._last_line = time.monotonic()
            self.note(f"{description} {share:.0%} · {detail}")
        if self._bars is None:
            return
        detail = escape(printable(detail))
        if self._task is None:
            self._task = self._bars.add_task(description, total=1.0, detail=detail)
            self._bars.start()
        self._bars.update(self._task, description=description, completed=share, detail=detail)


def _bars() -> "Bars":
    """Bars of progress on the terminal."""
    from rich.progress import BarColumn, TextColumn  # here, because files and pipes have no bars
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[detail]}"),
        console=err,
        transient=True,
    )


@contextlib.contextmanager
def stop_on_signals(*, quiet: bool = False) -> Iterator[StopRequest]:
    """Turns the first Ctrl-C or SIGTERM into a request to stop, so that the command can save its work.

    A second Ctrl-C raises KeyboardInterrupt. `quiet` shows no message.
    """
    request = StopRequest()

    def ask(number: int, _frame: FrameType | None) -> None:
        if request():
            if number == signal.SIGTERM:  # a scheduler may send it twice, which must not stop the saving
                return
            raise KeyboardInterrupt
        if not quiet:
            show_message("stopping; press Ctrl-C again to stop without saving")
        request.ask()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _visible(text: str) -> str:
    """The text without control characters and undecodable bytes, which the names of files may hold.

    The further lines of a message are indented; other new lines are part of a name.
    """
    return "\n".join(map(printable, NEXT_LINE.split(text)))


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
