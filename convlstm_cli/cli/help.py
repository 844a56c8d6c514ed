"""The pages of `--help`: usage, text, and panels of arguments, options and commands.

Typer's own pages take longer than everything else that a help page needs: they import a Markdown parser, and lay out
the help of each option as a document of its own.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convlstm_cli.cli.terminal import Terminal

NAME, SHORT_NAME, KIND, EXTRA = "bold cyan", "bold green", "bold yellow", "dim"
FLAG = r"(?<![\w-])--[a-z][\w-]*"
NARROW = 80
"""Columns of a terminal below which an option's help stands under its name instead of beside it."""
KIND_WIDTH = 24
"""Columns of what a value can be; longer lists of choices are broken."""


def show(command: Any, context: Any, commands: Mapping[str, str] | None = None) -> None:
    """Prints the help page of a command to stdout.

    Args:
        command: a typer command or group.
        context: its context, as typer makes it.
        commands: of a group, the help text of each command, by its name.
    """
    console = Terminal(highlight=False)
    usage = Text(command.get_usage(context).strip(), "bold")
    usage.highlight_words(["Usage:"], "yellow")
    console.print(Padding(usage, 1))
    console.print(Padding(_paragraphs(command.help or ""), (0, 1, 1, 1)))
    for title, parameters in _panels(command.get_params(context)).items():
        rows = [_row(parameter, context) for parameter in parameters]
        table = _stacked(rows) if console.width < NARROW else _side_by_side(rows)
        console.print(_panel(title, table))
    if commands:
        listed = _grid(2)
        for name, text in commands.items():
            listed.add_row(Text(name, NAME), _flowing(text.split("\n\n")[0]))
        console.print(_panel("Commands", listed))
    if command.epilog:
        console.print(Padding(command.epilog, 1), markup=False)


def _panels(parameters: Iterable[Any]) -> dict[str, list[Any]]:
    """The parameters that are not hidden, by the titles of their panels: arguments first, then general options."""
    panels: dict[str, list[Any]] = {"Arguments": [], "Options": []}
    for parameter in parameters:
        if not getattr(parameter, "hidden", False):
            own = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or own, []).append(parameter)
    return {title: listed for title, listed in panels.items() if listed}


def _row(parameter: Any, context: Any) -> tuple[Text, Text, Text, Text]:
    """Names, short names, what the value can be, and help, of one argument or option."""
    names, text = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        more = "..." if parameter.nargs == -1 and "..." not in names else ""
        return Text(names.split()[0] + more, NAME), Text(), Text(), _help(text)
    long = [name for name in parameter.opts if name.startswith("--")]
    short = [name for name in parameter.opts if name not in long]
    kind = names.split(", ")[-1].partition(" ")[2]
    return Text(",".join(long), NAME), Text(",".join(short), SHORT_NAME), Text(_broken(kind), KIND), _help(text)


def _help(text: str) -> Text:
    """An option's help, behind which typer writes what else there is to know, such as `[default: 3]`."""
    text, gap, extra = text.rpartition("  [") if text.endswith("]") else (text, "", "")
    return _flowing(text).append(f"{gap}{extra}", EXTRA)


def _flowing(text: str) -> Text:
    """One paragraph, with the names of options picked out."""
    shown = Text(" ".join(text.split()))
    shown.highlight_regex(FLAG, NAME)
    return shown


def _paragraphs(text: str) -> Text:
    """The help of a command; its first paragraph stands out."""
    first, *others = inspect.cleandoc(text).split("\n\n")
    shown = _flowing(first)
    for paragraph in others:
        other = _flowing(paragraph)
        other.stylize("dim")
        shown.append("\n\n").append_text(other)
    return shown


def _broken(kind: str) -> str:
    """Choices such as <a|b|c> on lines of at most `KIND_WIDTH` columns, broken behind a |."""
    lines = [""]
    for part in kind.replace("|", "|\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > KIND_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _side_by_side(rows: list[tuple[Text, Text, Text, Text]]) -> Table:
    """A row for each option; columns that are empty in all of them are left out."""
    used = [column for column in range(4) if any(row[column] for row in rows)]
    table = _grid(len(used))
    for row in rows:
        table.add_row(*(row[column] for column in used))
    return table


def _stacked(rows: list[tuple[Text, Text, Text, Text]]) -> Table:
    """The names of each option, and its help below them."""
    table = _grid(1)
    for long, short, kind, text in rows:
        table.add_row(Text(" ").join(part for part in (long, short, kind) if part))
        table.add_row(Padding(text, (0, 0, 0, 2)))
    return table


def _grid(columns: int) -> Table:
    """A table without lines, whose last column takes the width that the others leave."""
    table = Table.grid(padding=(0, 2), expand=True)
    for _ in range(columns - 1):
        table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    return table


def _panel(title: str, content: Table) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="dim")
