"""Compressed files brought to where they can be read: small ones in memory, large ones as files of the cache.

What is unpacked is bounded, since a small file can claim to hold any amount.
"""

import gzip
import hashlib
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from convlstm_cli.errors import InputError, OutputError
from convlstm_cli.files import replacing
from convlstm_cli.paths import cache_folder, resolved
from convlstm_cli.video.readers.checks import reading

PIECE = 2**20
"""Bytes that are unpacked at a time."""
FREE = 0.8
"""Share of the free disk space that one unpacked file may take."""
PACKED = ".gz"


def is_packed(path: Path) -> bool:
    """Whether the name of a file is that of a gzip-compressed one."""
    return path.suffix.lower() == PACKED


def read_gzip(path: Path, most: int) -> bytes:
    """The content of a gzip-compressed file. Raises InputError where it is damaged or has more than `most` bytes."""
    with reading(path):
        try:
            with gzip.open(path) as file:
                content = file.read(most + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(path, error) from error
    if len(content) > most:
        raise InputError(f"{path}: unpacks to more than {most} bytes, and more are not read.")
    return content


def unpack_gzip(path: Path, suffix: str) -> Path:
    """A file of the cache with the content of a gzip-compressed one; it is unpacked again only where that changed.

    Raises InputError where it is damaged or does not fit, and OutputError where the cache cannot be written.
    """

    def stream() -> BinaryIO:
        return gzip.open(path)  # type: ignore[return-value] # a GzipFile reads bytes as a BinaryIO does

    return unpack(path, "", suffix, stream)


def unpack(path: Path, member: str, suffix: str, stream: Callable[[], BinaryIO]) -> Path:
    """A file of the cache with what `stream` gives, a member of the file at `path`. Raises as `unpack_gzip`."""
    folder = cache_folder()
    with reading(path):
        status = path.stat()
    key = json.dumps([str(resolved(path)), member, status.st_size, status.st_mtime_ns])
    target = folder / f"unpacked-{hashlib.sha256(key.encode()).hexdigest()[:32]}{suffix}"
    if target.is_file():
        return target
    try:
        with replacing(target) as partial, partial.open("wb") as file:
            _copy(path, stream, file, int(FREE * shutil.disk_usage(folder).free))
    except OutputError as error:
        raise OutputError(
            f"{folder}: {path.name} cannot be unpacked here ({error.__cause__ or error}); free some space, or set "
            "CONVLSTM_CACHE to another folder."
        ) from error
    return target


def _copy(path: Path, stream: Callable[[], BinaryIO], file: BinaryIO, most: int) -> None:
    unpacked = 0
    try:
        with stream() as packed:
            while piece := packed.read(PIECE):
                unpacked += len(piece)
                if unpacked > most:
                    raise InputError(
                        f"{path}: unpacks to more than the {most} bytes that there is room for; free some space, or "
                        "set CONVLSTM_CACHE to a folder on another disk."
                    )
                file.write(piece)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: is cut off or damaged ({error}); copy or download it again.")
