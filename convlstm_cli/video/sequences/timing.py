"""Times and numbers of a series of names."""

from collections.abc import Sequence
from itertools import pairwise

from convlstm_cli.video.sequences.dates import MICROSECONDS, moment
from convlstm_cli.video.sequences.names import ParsedName
from convlstm_cli.video.sequences.result import ImageSequence
from convlstm_cli.video.sequences.series import order_slot

FURTHEST = 2**53
"""Difference of numbers from which on two neighbours are the same float."""


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
        return ImageSequence(pattern, names, numbers=_offsets(values))
    if "number" in kinds or len(kinds) > 1:
        return ImageSequence(pattern, names)
    times = tuple((value - values[0]) / MICROSECONDS for value in values)
    start = None if kinds == {"clock"} else moment(int(values[0]))
    return ImageSequence(pattern, names, times, start)


def _offsets(values: Sequence[int | float]) -> tuple[float, ...] | None:
    """Numbers less the first; None where a float cannot hold them apart."""
    offsets = tuple(float(min(value - values[0], FURTHEST)) for value in values)
    return offsets if all(before < after for before, after in pairwise(offsets)) else None
