"""The `convlstm` command: finds the command that is asked for, and turns every error into one message and exit code.

Each command is a file beside this one, imported when it is asked for; torch and OpenCV are imported when it runs.
"""

import contextlib
import errno
import functools
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from convlstm_cli import __version__
from convlstm_cli.cli.conversion import convert_quickly
from convlstm_cli.cli.loading import load
from convlstm_cli.errors import ConvLSTMError, InputError, Interrupted, RemoteProcessError, UsageError

NAME = "convlstm"
READER_ENDED = 141
"""Exit code where the program that reads the output has ended: what a shell makes of SIGPIPE."""
COMMANDS = ("train", "predict", "watch", "compare", "evaluate", "inspect", "explain", "export", "info")
"""Each is the function of this name in the module of this name; in the order of the help page."""
FORECASTING, LEARNING = frozenset({"predict", "watch", "evaluate"}), frozenset({"train", "compare"})
"""Those that run a network, so that they need compiled kernels: of float32, and of every type."""
ELSEWHERE = {"inspect": "cli.inspection", "explain": "reporting.explain", "info": "cli.facts"}
"""Modules that do the work of a command; that of others is done by the module of the same name in the package."""


def function_of(name: str) -> Callable[..., None]:
    """The function that a command calls."""
    function: Callable[..., None] = getattr(importlib.import_module(f"convlstm_cli.cli.{name}"), name)
    return function


@functools.cache
def command_of(name: str) -> Any:
    """A command as typer makes it, with its options."""
    from convlstm_cli.cli.options import expand

    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name, cls=Command)(expand(function_of(name)))
    return get_command(alone)


class Command(TyperCommand):
    """A command whose help page `cli/help.py` prints, and whose values `cli/conversion.py` converts."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments."""
        return convert_quickly(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. Raises InputError where the working folder was deleted, in which torch does not load."""
        assert self.name is not None
        try:
            Path.cwd()
        except FileNotFoundError:
            raise InputError(
                "the working folder is not there any more, since it was deleted or moved; change to another (`cd ~`), "
                "and run the command again."
            ) from None
        if self.name in FORECASTING | LEARNING:
            from convlstm_cli.nn import c_kernels, kernels

            c_kernels.compile_ahead(kernels.ALL if self.name in LEARNING else kernels.FLOAT32)
        load(ELSEWHERE.get(self.name, self.name))
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Prints the help page; `formatter` stays empty."""
        from convlstm_cli.cli import help as pages

        pages.show(self, ctx)


class Commands(TyperGroup):
    """All commands; each is made when it is asked for, since the options of all take longer than a help page."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # for its suggestions, which need names

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names of the commands, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of a name; None for an unknown one."""
        return command_of(cmd_name) if cmd_name in COMMANDS else None

    def get_params(self, ctx: Any) -> list[Any]:
        """The options before the command's name."""
        return convert_quickly(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Prints the help page; `formatter` stays empty."""
        from convlstm_cli.cli import help as pages

        pages.show(self, ctx, {name: function_of(name).__doc__ or "" for name in COMMANDS})

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """Parses the command line, which prints the help page and the version."""
        with _ending_with_the_reader():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that is asked for; an error becomes one message on stderr, and its exit code."""
        with _ending_with_the_reader():
            return self._invoke(ctx)

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            message, exit_code = "interrupted; no file is left half written.", Interrupted.exit_code
        except RemoteProcessError as error:  # the process that failed has shown the message
            message, exit_code = "", error.exit_code
        except (UsageError, Interrupted) as error:  # the same in all processes, so only the first one shows it
            message, exit_code = "" if _other_process() else str(error), error.exit_code
        except ConvLSTMError as error:
            message, exit_code = f"{_other_process()}{error}", error.exit_code
        except OSError as error:
            if error.errno == errno.EPIPE:
                _clear_bars()
                raise
            message, exit_code = f"{error.filename or 'the system says'}: {error.strerror or error}", 1
        except (MemoryError, RuntimeError) as error:
            from convlstm_cli.compute.memory import is_out_of_memory

            if not is_out_of_memory(error):
                raise
            message, exit_code = "out of memory; lower --batch-size, --size or --hidden.", 1
        _clear_bars()
        if message:
            from convlstm_cli.cli import console

            console.show_error(message)
        raise typer.Exit(exit_code)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `convlstm train FOLDER`, then `convlstm predict VIDEO`.",
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Forecast the next frames of your own videos with a ConvLSTM."""
    if version:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `convlstm` command."""
    signal.signal(signal.SIGTERM, _interrupt)
    # Before torch is imported. Threads of OpenMP that wait for each other spin for long otherwise, which stalls a
    # training beside another program; not to spin at all costs a third of the speed of an idle machine
    # (scripts/benchmark_side_by_side.py).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    for stream in (sys.stdout, sys.stderr):
        # An encoding that lacks a letter, as in the locale C, is no error; a stream that is closed is None.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name=NAME)


def _clear_bars() -> None:
    from convlstm_cli.cli import console

    console.ConsoleProgress.clear()


@contextlib.contextmanager
def _ending_with_the_reader() -> Iterator[None]:
    """Ends the program without a message where the one that reads its output has ended, as in `convlstm info | head`.

    The signal that ends other programs then, SIGPIPE, is not let in: it would also end a training that loses the
    connection to another process, unsaved.
    """
    try:
        yield
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # a stream that is closed
                stream.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):  # for what is still to be flushed
            os.dup2(null, number)
        raise SystemExit(READER_ENDED) from None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _other_process() -> str:
    """`process 1: ` in a process that torchrun started beside the first; empty elsewhere."""
    rank = os.environ.get("RANK", "0")
    return f"process {rank}: " if rank != "0" and os.environ.get("WORLD_SIZE", "1") != "1" else ""
