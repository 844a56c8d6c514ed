"""An array in a file, read a few frames at a time."""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers.arrays.layout import Layout
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.video_reader import TimedFrame
from convlstm_cli.video.source import SourceFacts
from convlstm_cli.video.values import native

Values = NDArray[np.generic]
Key = tuple[int | slice, ...]

BLOCK = 2**23
"""Bytes that are read at a time, unless a frame or a chunk of the file has more."""
LARGEST_BLOCK = 2**28
"""Bytes that are read at a time at most, unless a frame has more."""


def nothing() -> None:
    """Closes nothing."""


@dataclass(frozen=True)
class Stored:
    """An array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """Type of the values as they are stored."""
    read: Callable[[Key], Values]
    """Reads a piece. What it raises is taken for damage of the file."""
    dims: tuple[str, ...] | None = None
    """Names of the axes; None where the file does not name them."""
    chunk: tuple[int, ...] | None = None
    """Shape of the pieces in which it is compressed; None where every part can be read by itself."""
    to_values: Callable[[Values], Values] = field(default=lambda raw: raw)
    """Makes values in the unit from stored ones."""
    unit: str = ""
    missing: float | None = None
    """The value that stands for no measurement; None where that is NaN, or there is none."""
    declared_range: tuple[float, float] | None = None
    times: tuple[float, ...] | None = None
    """Seconds from the first entry of the time axis to each."""
    start: datetime | None = None
    note: str | None = None
    """What people should know of how it is read, a clause; None where there is nothing."""
    order: tuple[int, ...] | None = None
    """Positions on the time axis in the order of the times; None where frames stand in that order."""
    close: Callable[[], object] = nothing
    facts: Callable[[], SourceFacts] = SourceFacts
    """What a forecast takes on, which may be read while the array is open."""


def frames_of(stored: Stored, layout: Layout, sequence: int, path: Path) -> Generator[TimedFrame, None, None]:
    """The frames (H, W, C) of one sequence of an array, in the type of its values. Closes the array.

    Raises InputError where the file is damaged or values of its type cannot be kept.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(stored.close)
        count = layout.size(stored.shape, "T")
        block = frames_at_once(stored, layout) if stored.order is None else 1
        for first in range(0, count, block):
            at = first if stored.order is None else stored.order[first]
            frames = read_frames(stored, layout, sequence, slice(at, min(at + block, count)), path)
            for number, frame in enumerate(frames, start=first):
                yield TimedFrame(
                    np.array(native(frame, str(path))), None if stored.times is None else stored.times[number]
                )


def read_frames(stored: Stored, layout: Layout, sequence: int, steps: slice, path: Path) -> Values:
    """Some frames of a sequence, (T, H, W, C). Raises InputError where they cannot be read."""
    pick: dict[str, int | slice] = {"N": sequence, "T": steps, "_": 0}
    with reading(path):
        try:
            piece = stored.read(tuple(pick.get(letter, slice(None)) for letter in layout.axes))
            values = stored.to_values(piece.astype(piece.dtype.newbyteorder("="), copy=False))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # libraries raise what they like where a file ends too early or is damaged
            raise InputError(
                f"{path}: cannot be read at frame {steps.start + 1} ({str(error) or type(error).__name__}), so it is "
                "cut off or damaged; copy or download it again."
            ) from error
    left = [letter for letter in layout.axes if letter not in "N_"]
    for letter in ("T", "C"):
        if letter not in left:
            values, left = values[..., None], [*left, letter]
    return np.transpose(values, [left.index(letter) for letter in "THWC"])


def frames_at_once(stored: Stored, layout: Layout) -> int:
    """Frames to read at a time: about BLOCK bytes of them, and whole chunks, so that none is decompressed twice."""
    size = stored.dtype.itemsize
    for letter in "HWC":
        size *= layout.size(stored.shape, letter)
    frames = max(BLOCK // size, 1)
    if stored.chunk is not None and (deep := layout.size(stored.chunk, "T")) > 1:
        frames = min(-(-frames // deep) * deep, max(LARGEST_BLOCK // size, 1))
    return frames
