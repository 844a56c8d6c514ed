"""Calls of the command line, in this process or in one of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from helpers import TINY
from typer.testing import CliRunner, Result

from convlstm_cli.cli.app import NAME, app

QUICK = (*TINY, "--forecaster", "unconditioned", "--head", "sigmoid")
"""Options of a network that trains sooner still: it estimates no motion, which takes most of a step at this size."""


def convlstm(*arguments: object, cwd: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs `python -m convlstm_cli`; asserts its exit code, and that no traceback is shown."""
    done = subprocess.run(
        [sys.executable, "-m", "convlstm_cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == check, done.stderr
    assert "Traceback" not in done.stderr
    return done


def called(*arguments: object, cwd: Path, code: int = 0, environment: Mapping[str, str] | None = None) -> Result:
    """As `convlstm`, in this very process, which saves the seconds that torch takes to load."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(app, list(map(str, arguments)), env=environment, prog_name=NAME)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.stderr
    return result


def refused(*arguments: object, cwd: Path, code: int = 2) -> str:
    """The message of a wrong use, which must exit with this code and print no result."""
    result = called(*arguments, cwd=cwd, code=code)
    assert not result.stdout
    return result.stderr
