"""Runs commands of a step with a time limit and a log, and says what became of the step."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Failed(Exception):
    """Why a step failed, in a few words."""


class Skipped(Exception):
    """Why a step could not be taken here, in a few words."""


@dataclass(frozen=True)
class Options:
    """What all steps are run with."""

    device: str
    quick: bool
    """Everything as small as possible, to test the steps themselves."""
    output: Path
    """Folder of logs and results."""
    cores: int


class Context:
    """One step under way: its options, its log and its time."""

    def __init__(self, options: Options, name: str, deadline: float) -> None:
        self.options = options
        self.log = options.output / f"{name}.log"
        self.deadline = deadline
        """By `time.monotonic`."""
        self.folder = options.output / name
        """For what the step writes; made when it is first needed."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def start(self, command: Sequence[str], log: Path, more_environment: Mapping[str, str] | None = None) -> "Process":
        """Starts a command, whose output goes to the end of `log`."""
        return Process(command, log, {**os.environ, **(more_environment or {})})

    def call(self, *command: str) -> str:
        """Runs a command to its end. Returns its stdout. Raises Failed where it fails or the deadline comes first."""
        process = self.start(command, self.log)
        code = process.wait(self.left)
        if code is None:
            raise Failed(f"{_short(command)} did not end in time")
        if code:
            raise Failed(f"{_short(command)} exited with {code}: {process.last_words()}")
        return process.stdout.read_text(encoding="utf-8")

    def convlstm(self, *arguments: str) -> str:
        """Runs a convlstm command on the device. Returns its stdout."""
        return self.call(sys.executable, "-m", "convlstm_cli", *arguments)


class Process:
    """A command in a process group of its own, so that all its processes end with it."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(command)}\n")
        self.log = log
        self.stdout = log.with_suffix(".stdout")
        with log.open("a", encoding="utf-8") as errors, self.stdout.open("w", encoding="utf-8") as output:
            self._popen = subprocess.Popen(
                command, stdout=output, stderr=errors, env=environment, cwd=ROOT, start_new_session=True
            )

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None if the command had to be killed because the time was over."""
        try:
            code: int | None = self._popen.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            code = None
        except BaseException:
            self.kill()
            raise
        if code is None:
            self.kill()
        self._join_logs()
        return code

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """Sends SIGKILL to all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def last_words(self) -> str:
        """The last line that it printed."""
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:200] if lines else "it printed nothing"

    def _join_logs(self) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(self.stdout.read_text(encoding="utf-8", errors="replace"))


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    name: str
    seconds: float
    result: str
    """pass, FAIL or skip."""
    saw: str


def take(name: str, work: Callable[[Context], str], limit: float, end: float, options: Options) -> Outcome:
    """Takes one step within `limit` seconds, and before `end` by `time.monotonic`."""
    began = time.monotonic()
    context = Context(options, name, min(began + limit, end))
    try:
        if context.left < 1.0:
            raise Failed("no time was left for it")
        result, saw = "pass", work(context)
    except Skipped as reason:
        result, saw = "skip", str(reason)
    except Failed as reason:
        result, saw = "FAIL", str(reason)
    except Exception as error:  # a fault of the check itself must not hide the other steps
        result, saw = "FAIL", f"{type(error).__name__}: {error}"
    return Outcome(name, time.monotonic() - began, result, saw)


def _short(command: Sequence[str]) -> str:
    return " ".join(Path(part).name if part == sys.executable else part for part in command[:5])
