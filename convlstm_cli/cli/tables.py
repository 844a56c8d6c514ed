"""The plain tables of the terminal."""

from rich.table import Table


def plain_table(*headings: str, left: int = 1) -> Table:
    """A table without lines; its first `left` columns begin at the left."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right")
    return table
