"""Times, numbers and gaps of a series of names."""

from collections.abc import Sequence

from convlstm_cli.video.sequences.dates import MICROSECONDS, moment
from convlstm_cli.video.sequences.names import ParsedName
from convlstm_cli.video.sequences.result import ImageSequence
from convlstm_cli.video.sequences.series import MANY_HOLES, holes, order_slot

LISTED = 3
"""Holes that a note lists."""


def sequence_of(files: Sequence[ParsedName], pattern: str) -> ImageSequence:
    """Names of one skeleton, in order, as a sequence, with the times or numbers that they hold."""
    names = tuple(file.name for file in files)
    if len({file.skeleton for file in files}) > 1 and len({len(file.slots) for file in files}) > 1:
        return ImageSequence(pattern, names)
    slot = order_slot(files)
    if slot is None:
        return ImageSequence(pattern, names)
    values = [file.slots[slot].value for file in files]
    kinds = {file.slots[slot].kind for file in files}
    if kinds == {"number"}:
        note = _missing(values)
        return ImageSequence(pattern, names, numbers=tuple(values), notes=() if note is None else (note,))
    if "number" in kinds or len(kinds) > 1:
        return ImageSequence(pattern, names)
    times = tuple((value - values[0]) / MICROSECONDS for value in values)
    start = None if kinds == {"clock"} else moment(int(values[0]))
    return ImageSequence(pattern, names, times, start)


def _missing(values: Sequence[int | float]) -> str | None:
    """A clause about the numbers that a series leaves out; None where it leaves out none or most."""
    found = holes(values)
    if not found or len(found) > MANY_HOLES * (len(values) - 1):
        return None
    gaps = ", ".join(f"{before} to {after}" for before, after in found[:LISTED])
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return f"numbers are missing in the names, from {gaps}{more}"
