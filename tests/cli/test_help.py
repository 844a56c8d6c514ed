"""Help pages: what they import, what they show, and that they fit any terminal."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls import called

from convlstm_cli.cli.app import COMMANDS, command_of, function_of

PAGES: list[tuple[str, ...]] = [(), *((name,) for name in COMMANDS)]
HEAVY = {"torch", "cv2", "av", "numpy", "matplotlib", "torchmetrics", "PIL", "jinja2", "pydantic", "asyncio"}
DOCUMENTS = {"typer.rich_utils", "rich.markdown", "rich.progress", "rich.traceback", "rich.syntax", "pygments"}
"""What Typer and Rich import for pages that are laid out as documents, and for tracebacks and progress bars."""

EMPTY = """
import json, sys, typer
app = typer.Typer()
@app.command()
def main() -> None:
    '''Does nothing.'''
try: app()
except SystemExit: print(json.dumps(list(sys.modules)), file=sys.stderr)
"""
OURS = """
import json, sys
from convlstm_cli.cli.app import main
try: main()
except SystemExit: print(json.dumps(list(sys.modules)), file=sys.stderr)
"""


def imported(code: str, *command: str) -> set[str]:
    """The modules that the help page of a program imports, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    return set(json.loads(done.stderr))


@pytest.fixture(scope="module")
def empty() -> set[str]:
    return imported(EMPTY)


@pytest.mark.parametrize("command", PAGES)
def test_a_page_imports_less_than_an_empty_typer_program(command: tuple[str, ...], empty: set[str]) -> None:
    modules = imported(OURS, *command)
    assert not modules & (HEAVY | DOCUMENTS)
    assert len(modules) < len(empty)
    others = {f"convlstm_cli.cli.{name}" for name in COMMANDS} - {f"convlstm_cli.cli.{name}" for name in command}
    assert not command or not modules & others


def words(page: str) -> str:
    """The text of a page without its lines, so that it is the same at any width."""
    return " ".join(re.sub(r"[╭╮╰╯─│]", " ", page).split())


def options(name: str) -> Iterator[Any]:
    """The options and arguments of a command, as typer knows them."""
    yield from command_of(name).params


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_shown_with_its_help_its_choices_and_its_panel(name: str, tmp_path: Path) -> None:
    page = called(name, "--help", cwd=tmp_path, environment={"COLUMNS": "600"}).stdout
    assert (inspect.getdoc(function_of(name)) or "").splitlines()[0] in page
    for option in options(name):
        if option.param_type_name == "option":
            names = ",".join(name for name in option.opts if name.startswith("--"))
            [line] = [line for line in page.splitlines() if line.startswith(f"│ {names} ")]
            assert option.help.split()[0] in line
        assert " ".join(option.help.split())[-40:] in words(page), option.name
        assert f"─ {option.rich_help_panel or ''}" in page
    assert "--help" in page


def test_defaults_and_choices_are_shown(tmp_path: Path) -> None:
    page = words(called("train", "--help", cwd=tmp_path, environment={"COLUMNS": "200"}).stdout)
    assert "--patch-size <int>" in page
    assert "[default: 4]" in page
    assert "<pad|crop|stretch>" in page
    assert "--resume Continue" in page  # a flag takes no value
    assert "[required]" in called("predict", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize("columns", ["40", "79", "80", "120", "200"])
def test_pages_fit_the_terminal_and_lose_nothing(columns: str, tmp_path: Path) -> None:
    for name in COMMANDS:
        page = called(name, "--help", cwd=tmp_path, environment={"COLUMNS": columns}).stdout
        assert max(map(len, page.splitlines())) <= int(columns), name
        assert "…" not in page
        shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page))
        assert {long for option in options(name) for long in option.opts if long.startswith("--")} <= shown, name


def test_the_commands_are_listed_with_what_they_do(tmp_path: Path) -> None:
    page = words(called("-h", cwd=tmp_path).stdout)
    for name in COMMANDS:
        assert " ".join([name, *(inspect.getdoc(function_of(name)) or "").split("\n\n")[0].split()]) in page
    assert "Start with `convlstm train FOLDER`" in page


def test_without_a_command_the_commands_are_listed(tmp_path: Path) -> None:
    assert called(cwd=tmp_path, code=2).stdout.strip() == called("--help", cwd=tmp_path).stdout.strip()


@pytest.mark.parametrize(("variable", "coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colours_are_the_users_choice(variable: str, coloured: bool, tmp_path: Path) -> None:
    page = called("info", "--help", cwd=tmp_path, environment={variable: "1"}).stdout
    assert ("\x1b[" in page) == coloured
