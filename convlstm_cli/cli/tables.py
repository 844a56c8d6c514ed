"""The plain tables of the terminal."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from convlstm_cli.paths import printable


def plain_table(*headings: str, left: int = 1) -> Table:
    """A table without lines; its first `left` columns begin at the left.

    Names there are broken over lines where the terminal is narrow, and never cut off.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(headings):
        is_name = index < left
        # Half a number would be another number.
        table.add_column(heading, justify="left" if is_name else "right", overflow="fold" if is_name else "ellipsis")
    return table


def facts_table(facts: Mapping[str, object]) -> Table:
    """Names and values, one pair on each line."""
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), escape(printable(str(value))))
    return table
