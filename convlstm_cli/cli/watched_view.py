"""What was found in a video as a line and a table for the terminal."""

from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from convlstm_cli.reporting.numbers import rounded
from convlstm_cli.watching.events import Event

if TYPE_CHECKING:
    from convlstm_cli.watch import Watched

SHOWN = 20
"""Most events that are listed, the most surprising ones."""


def watched_view(watched: "Watched") -> tuple[RenderableType, ...]:
    """A line that counts the events of a video, and a table of them in the order of time."""
    record = watched.record
    threshold, count = record.calibration.threshold, len(record.events)
    line = (
        f"{record.source}: {count or 'no'} event{'s' * (count != 1)} in {record.judged} of {record.frames} frames, in "
        f"{watched.folder}\n  alarms above a score of {rounded(threshold.score)}, as normal frames raise at most "
        f"{rounded(threshold.per_hour)} times an hour; {rounded(watched.frames_per_second)} frames a second"
    )
    if not count:
        return (line,)
    worst = sorted(record.events, key=lambda event: -event.score)[:SHOWN]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("frames", "time", "worst frame", "score", "p", "row", "column"):
        table.add_column(head, justify="right")
    for event in sorted(worst, key=lambda event: event.first):
        table.add_row(*_cells(event))
    left_out = (f"and {count - SHOWN} events of lower scores, in watch.json",) if count > SHOWN else ()
    return line, "", table, *left_out


def _cells(event: Event) -> tuple[str, ...]:
    frames = str(event.first) if event.first == event.last else f"{event.first}-{event.last}"
    time = "" if event.start is None or event.end is None else f"{event.start:.2f}-{event.end:.2f} s"
    return frames, time, str(event.peak), rounded(event.score), f"{event.p:.2g}", str(event.row), str(event.column)
