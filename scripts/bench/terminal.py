"""The terminal: progress on stderr, aligned columns, and whether a target is met. Needs nothing but Python."""

import sys
from collections.abc import Sequence


def say(text: str) -> None:
    """Prints a line of progress on stderr, so that stdout holds results only."""
    print(text, file=sys.stderr, flush=True)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Rows of cells as columns of one width each: the first column left-aligned, all others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )


def target(met: bool, limit: str) -> str:
    """The verdict on one target, such as "met: at most 1.1"."""
    return f"{'met' if met else 'NOT met'}: {limit}"
