"""A file for a library to write to that does not bear an error of the system."""

from typing import BinaryIO


class KeptErrors:
    """Python's file for a library of C to write to, so that no name is taken for a URL or a pattern.

    It keeps the first error of the system and then ignores what is written; `check` raises it. FFmpeg goes on after a
    write that failed, so that PyAV would raise one error and print the others; HDF5 ends the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, content: bytes) -> int:
        if self._error is None:
            try:
                return self._file.write(content)
            except OSError as error:
                self._error = error
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        if self._error is None:
            try:
                return self._file.seek(offset, whence)
            except OSError as error:  # it writes what was waiting
                self._error = error
        return offset

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        """Raises the error that was kept."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._file.close()


class KeptErrorsOfHdf5(KeptErrors):
    """As HDF5 writes: it reads what it wrote, and sets the length of the file."""

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readinto(self, buffer: memoryview) -> int:
        read: int = self._file.readinto(buffer)  # type: ignore[attr-defined] # a file that is open for both
        return read

    def truncate(self, size: int) -> int:
        if self._error is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self._error = error
        return size

    def flush(self) -> None:
        if self._error is None:
            try:
                self._file.flush()
            except OSError as error:
                self._error = error
