"""Worker processes that take turns: all but one are stopped, so that none disturbs the measurement of another."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent.parent
PATIENCE = 900.0
"""Seconds without an answer after which a worker counts as failed."""


class Failed(Exception):
    """A worker cannot measure; the message gives the reason in one line."""


class Worker:
    """One system in a process of its own, which exchanges lines of JSON. The caller must close it."""

    def __init__(self, python: str, request: dict[str, Any], environment: dict[str, str]) -> None:
        """Starts the process and stops it once it has imported its system. Raises Failed."""
        self._messages = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed in `close`
        self._unread = b""
        paths = [str(SCRIPTS), str(SCRIPTS.parent), os.environ.get("PYTHONPATH", "")]
        try:
            self._process = subprocess.Popen(
                [python, "-m", "speed.worker", json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
            )
        except OSError as error:
            self._messages.close()
            raise Failed(f"{python}: {error.strerror}") from error
        try:
            self.about = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Resumes the worker until it has answered. Raises Failed."""
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._why_ended()) from None
        return self._answer()

    def close(self) -> None:
        """Ends the process and its children."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # data that the process had not read when it ended
                pipe.close()
        self._messages.close()

    def _answer(self) -> dict[str, Any]:
        """Reads the next answer and stops the worker."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        end = time.monotonic() + PATIENCE
        while b"\n" not in self._unread:
            if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
                raise Failed(f"no answer in {PATIENCE:.0f} seconds")
            new = os.read(descriptor, 1 << 16)
            if not new:
                raise Failed(self._why_ended())
            self._unread += new
        line, self._unread = self._unread.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self._signal(signal.SIGSTOP)
            raise Failed(answer["error"])
        self._signal(signal.SIGSTOP)
        return answer

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has already ended
            os.killpg(self._process.pid, number)

    def _why_ended(self) -> str:
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().strip().splitlines()
        how = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        return f"ended with {how}: {lines[-1] if lines else 'no message'}"


def installed(python: str, modules: tuple[str, ...]) -> set[str]:
    """The modules that an interpreter could import; imports none. Raises Failed."""
    code = "import sys; from importlib.util import find_spec; print(*(m for m in sys.argv[1:] if find_spec(m)))"
    try:
        done = subprocess.run([python, "-c", code, *modules], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(f"{python}: {error}") from error
    return set(done.stdout.split())


def end_on_terminate() -> None:
    """Makes SIGTERM an exit that runs every `finally`, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
