"""NumPy arrays in a zip archive: `.npz`."""

import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers.arrays.npy import NpyFile, read_header
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Stored
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.unpacked import unpack

LOCAL_HEADER = 30
"""Bytes in front of the name and the extra field of a member (APPNOTE 6.3, section 4.3.7)."""


class NpzFile:
    """An `.npz` file. Members that are not compressed are mapped in place, others are unpacked into the cache."""

    def __init__(self, path: Path, source: Path) -> None:
        """`source` is the file that messages name. Raises InputError for a file that is none, or is damaged."""
        self._path, self._source = path, source
        with reading(source):
            try:
                with zipfile.ZipFile(path) as archive:
                    members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
                    self._members = {each.filename.removesuffix(".npy"): each for each in members}
                    self.shapes = self._shapes(archive)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                raise _damaged(source, error) from error

    def stored(self, name: str) -> Stored:
        """One of the arrays."""
        member = self._members[name]
        if member.compress_type == zipfile.ZIP_STORED:
            return self._named(NpyFile(self._path, self._source, self._offset(member)), name)
        try:
            unpacked = unpack(self._path, name, ".npy", lambda: cast(BinaryIO, _Member(self._path, member)))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise _damaged(self._source, error) from error
        return self._named(NpyFile(unpacked, self._source), name)

    def close(self) -> None:
        """Nothing stays open."""

    def _named(self, file: NpyFile, name: str) -> Stored:
        stored = file.stored("")
        return replace(stored, facts=lambda: replace(stored.facts(), format="npz", name=name))

    def _shapes(self, archive: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays of numbers; what holds anything else is passed over."""
        shapes = {}
        for name, member in self._members.items():
            try:
                with archive.open(member) as file:
                    header = read_header(cast(BinaryIO, file), f"{self._source}: {name}")
            except InputError:
                continue
            if header.size > member.file_size:
                raise InputError(f"{self._source}: {name} is shorter than it says; save it again with numpy.savez.")
            shapes[name] = header.shape
        return shapes

    def _offset(self, member: zipfile.ZipInfo) -> int:
        """Where a member's content begins in the file."""
        with reading(self._path), self._path.open("rb") as file:
            file.seek(member.header_offset)
            head = file.read(LOCAL_HEADER)
        if len(head) < LOCAL_HEADER:
            raise InputError(f"{self._source}: is cut off; copy or download it again.")
        name, extra = struct.unpack_from("<HH", head, 26)
        return int(member.header_offset + LOCAL_HEADER + name + extra)


class _Member:
    """A stream of one member that closes its archive too."""

    def __init__(self, path: Path, member: zipfile.ZipInfo) -> None:
        self._archive = zipfile.ZipFile(path)
        self._file = self._archive.open(member)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def __enter__(self) -> "_Member":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._archive.close()


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: is damaged or not a numpy .npz file ({error}); save it again with numpy.savez.")


READER = array_reader("npz", "NumPy arrays in an archive, .npz", frozenset({".npz"}), NpzFile)
