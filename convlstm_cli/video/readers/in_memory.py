"""Bytes in memory as a file that is read."""

import io

import numpy as np
from numpy.typing import NDArray


class MemoryFile(io.RawIOBase):
    """The N bytes of an array as a file, without a copy, which `io.BytesIO` would make of a map of a large file."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self._content, self._at = content, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to an offset, and returns it. Raises ValueError for one before the beginning."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}[whence]
        if start + offset < 0:
            raise ValueError("an offset before the beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """The offset at which it is read."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills a buffer as far as there are bytes, and returns their number."""
        piece = self._content[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece.tobytes()
        self._at += len(piece)
        return len(piece)


def open_memory(content: NDArray[np.uint8]) -> io.BufferedReader:
    """Opens bytes in memory for reading."""
    return io.BufferedReader(MemoryFile(content))
