"""The range of values of a training: declared, given, or chosen from what its videos hold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.config import parse_range
from convlstm_cli.video.library import Library
from convlstm_cli.video.split import Segment
from convlstm_cli.video.values import BYTES, ValueRange, known, range_of

FRAMES = 256
"""Frames, evenly spread over the segments, whose values are looked at; at least one of each segment."""
PIXELS = 2**12
"""Values of a frame that are looked at."""


def choose_range(
    library: Library, segments: Sequence[Segment], value_range: str | None = None, *, log: bool = False
) -> ValueRange:
    """The range that becomes [0, 1] in a training on segments.

    It is `value_range`, as --range takes it; else what the videos declare, which is 0...255 for 8 bits; else that of
    the values. Raises InputError where videos of a library hold numbers that mean different things.
    """
    unit = _common_unit(library)
    if value_range is not None:
        return ValueRange(*parse_range("--range", value_range), unit, log)
    declared = {library.declared_range(video.name) for video in library.videos}
    if len(declared) == 1 and (found := declared.pop()) is not None:
        return ValueRange(found.low, found.high, unit, log)
    if any(video.dtype == "uint8" for video in library.videos):  # and others, which may be pictures of more bits
        for video in library.videos:
            library.range_in(video.name, BYTES)
        return BYTES
    return range_of(_sample(library, segments), unit=unit, log=log)


def _common_unit(library: Library) -> str:
    """The unit of all videos; empty where none declares one. Raises InputError where they differ."""
    units = {video.unit: video for video in library.videos if video.unit}
    if len(units) > 1:
        (one, first), (other, second), *_ = units.items()
        raise InputError(f"{first.path}: is in {one} and {second.name} in {other}; bring all to one unit.")
    return next(iter(units), "")


def _sample(library: Library, segments: Sequence[Segment]) -> NDArray[np.generic]:
    """Values of the segments, without missing ones."""
    step = max(1, sum(segment.stop - segment.start for segment in segments) // FRAMES)
    found = []
    for segment in segments:
        rows, columns = library.content(segment.video)
        for position in range(segment.start, segment.stop, step):
            values = library.clip(segment.video, position, position + 1)[0][rows, columns].ravel()
            values = values[:: max(1, len(values) // PIXELS) | 1]  # odd, so that no column is met each time
            found.append(known(values, library.missing(segment.video)))
    return np.concatenate(found)
