"""A decoded video in the cache, as four files that are mapped into memory or read.

KEY.frames holds the bytes of an array (T, H, W, C) of the source's type, KEY.prints the prints of its frames
(`leaks/prints.py`), KEY.ranks the values of the source's frames by rank where their range has to be chosen
(`ranks.py`), and KEY.json what is known about the video.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.leaks.prints import CELLS, Prints
from convlstm_cli.video.ranks import COLUMNS, Ranks
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.values import ValueRange, range_declared


class EntryFiles(NamedTuple):
    """The files of an entry beside its .json."""

    frames: Path
    prints: Path
    """The prints of the frames."""
    ranks: Path
    """The values of the source's frames by rank."""

    @classmethod
    def of(cls, path: Path) -> "EntryFiles":
        """Those of the entry whose .json this is."""
        return cls(path.with_suffix(".frames"), path.with_suffix(".prints"), path.with_suffix(".ranks"))


@dataclass(frozen=True)
class Entry:
    """A decoded video in the cache."""

    fingerprint: str
    """Changes with the sizes and times of the source's files."""
    digest: str
    """Hash of all frames at the model's size; equal for two videos only if they show the same frames."""
    frames: int
    height: int
    width: int
    channels: int
    """1 if no frame has colour, else as many as frames have."""
    source_height: int
    source_width: int
    fps: float | None
    declared_frames: int | None
    times: tuple[float, ...] | None
    """Seconds from the first frame to each; None where the source has no times."""
    numbers: tuple[float, ...] | None
    """What the frames' files are numbered, less the first number; None where they have no numbers."""
    start: str | None
    """Date and time of the first frame in ISO 8601; None where the source has none."""
    notes: tuple[str, ...]
    """What people should know of how the video was read, a clause each."""
    dtype: str
    """Type of the pixels, one of `values.TYPES`."""
    unit: str
    """Unit of the values that the source declares; empty where it declares none."""
    declared_range: tuple[float, float] | None
    """Least and largest value that the source declares; None where it declares none."""
    missing: float | None
    """The value that stands for no data, given or declared; None where there is none. Floats have NaN in its place."""
    has_missing: bool
    """Whether any pixel at the model's size has no value."""
    has_values: bool
    """Whether any pixel of the source has a value."""
    inside: float | None
    """Share of its values that lie in the range that it declares; None where it declares none."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)"""
        return self.frames, self.height, self.width, self.channels

    @property
    def ranks_shape(self) -> tuple[int, int, int]:
        """(T, C, COLUMNS), C as in the source's frames and 3 where these have 1 or 3; T is 0 with a known range."""
        return self.frames * (self.known_range is None), colour_channels(self.channels), COLUMNS

    @property
    def known_range(self) -> ValueRange | None:
        """The range of values that the video declares, or that its type does; None where it has to be chosen."""
        return range_declared(self.declared_range, self.dtype, self.unit)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Reads an entry from its .json; None if that is missing or unusable, or some of its frames are missing."""
        try:
            entry = msgspec.json.decode(path.read_bytes(), type=cls)
            pixels = entry.frames * entry.height * entry.width * entry.channels
            expected = (pixels * np.dtype(entry.dtype).itemsize, entry.frames * CELLS, 8 * math.prod(entry.ranks_shape))
            return entry if tuple(file.stat().st_size for file in EntryFiles.of(path)) == expected else None
        except (OSError, TypeError, ValueError):
            return None


def map_frames(path: Path, entry: Entry) -> Frame:
    """The frames of an entry, (T, H, W, C), read from disk as they are used.

    Raises InputError if they were deleted since.
    """
    with reading(EntryFiles.of(path).frames):
        return np.memmap(EntryFiles.of(path).frames, entry.dtype, mode="r", shape=entry.shape)


def read_prints(path: Path, entry: Entry) -> Prints:
    """The prints of an entry's frames, (T, CELLS). Raises InputError if they were deleted since."""
    with reading(EntryFiles.of(path).prints):
        return np.fromfile(EntryFiles.of(path).prints, np.uint8).reshape(entry.frames, CELLS)


def read_ranks(path: Path, entry: Entry) -> Ranks:
    """The values of the source's frames by rank, `ranks_shape`. Raises InputError if they were deleted since."""
    with reading(EntryFiles.of(path).ranks):
        return np.fromfile(EntryFiles.of(path).ranks, np.float64).reshape(entry.ranks_shape)


def colour_channels(channels: int) -> int:
    """Channels of a frame whose video has frames in colour: a video can have grey ones and RGB ones."""
    return 3 if channels in (1, 3) else channels
