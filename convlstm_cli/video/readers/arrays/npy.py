"""NumPy arrays on disk: `.npy`, mapped into memory piece by piece."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Key, Stored, Values
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.source import SourceFacts, stored_as

NUMBERS = "buif"
"""Kinds of types whose values are frames: bool, unsigned, signed and floating."""


@dataclass(frozen=True)
class Header:
    """What stands before the values of an `.npy` file."""

    shape: tuple[int, ...]
    fortran: bool
    """Whether the first axis varies fastest."""
    dtype: np.dtype[Any]
    length: int
    """Bytes of it."""

    @property
    def size(self) -> int:
        """Bytes of header and values."""
        return self.length + self.dtype.itemsize * int(np.prod(self.shape, dtype=object))


def read_header(file: BinaryIO, source: str) -> Header:
    """The header that a stream begins with; refuses what holds Python objects. Raises InputError."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        length = file.tell()
    except OSError:
        raise
    except Exception as error:  # numpy reads a header as Python's literals, and lets through what that raises
        raise InputError(
            f"{source}: is damaged or not a numpy array ({error}); save it again with numpy.save."
        ) from error
    if dtype.kind not in NUMBERS:
        raise InputError(f"{source}: holds values of the type {dtype}, which are no pixels; save numbers.")
    return Header(tuple(shape), bool(fortran), dtype, length)


class NpyFile:
    """An `.npy` file, or a stretch of another file that is one."""

    def __init__(self, path: Path, source: Path, offset: int = 0) -> None:
        """`source` is the file that messages name. Raises InputError."""
        self._path, self._source = path, source
        with reading(self._source), path.open("rb") as file:
            file.seek(offset)
            self._header = read_header(file, str(self._source))  # whose length counts from the file's beginning
            held = path.stat().st_size
        if self._header.size > held:
            raise InputError(
                f"{self._source}: is damaged or cut off: it holds {held} of {self._header.size} bytes; save it again "
                "with numpy.save."
            )
        self.shapes = {"": self._header.shape}

    def stored(self, name: str) -> Stored:
        """The array; it has no name."""
        assert not name
        return Stored(self._header.shape, self._header.dtype, self._read, facts=self._facts)

    def close(self) -> None:
        """Nothing stays open."""

    def _facts(self) -> SourceFacts:
        return SourceFacts("npy", dtype=stored_as(self._header.dtype))

    def _read(self, key: Key) -> Values:
        # Mapped anew, since what was read of a map counts as this process's memory until it is let go.
        mapped = np.memmap(
            self._path,
            self._header.dtype,
            mode="r",
            offset=self._header.length,
            shape=self._header.shape,
            order="F" if self._header.fortran else "C",
        )
        return np.array(mapped[key])  # a copy, so that no frame keeps the file open or is read-only


READER = array_reader("array", "NumPy arrays", frozenset({".npy"}), NpyFile)
