"""Files that are whole or not there: written beside and renamed over.

While a file is written it has a temporary name, `.partial-HOST-RANDOM-NAME`, and is locked; the lock ends with its
process. So `sweep` separates files that a killed process left from files that are being written.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from convlstm_cli import lock
from convlstm_cli.errors import OutputError, refused_write

PARTIAL = ".partial-"
"""Prefix of a file or folder that is still being written."""
REPLACED = ".replaced-"
"""Prefix of a folder that was moved away, and is deleted as soon as the new one is in its place."""
LEFT = re.compile(r"\.(?:partial|replaced)-(?P<host>[0-9a-f]{6})-[0-9a-f]{6}-(?P<name>.+)", re.DOTALL)
OLD = 86400.0
"""Seconds without a change after which files of another host's processes are swept too."""


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yields an empty file beside `path` to write to, and renames it over `path` when the block ends well.

    The suffix is kept. After an exception `path` is as it was before, and the unfinished file is gone. A file that is
    not `durable` is not brought to disk at once, which takes longer than writing a small one: after a loss of power it
    may be shorter or missing, so its reader must notice that and be able to make it again.
    Raises OutputError where the system refuses a write.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _partial(path, Path.touch) as partial:
            yield partial
            # A file inside a folder that is being written is brought to disk with the folder.
            last = durable and shown(path) == path
            if last:
                _sync(partial)
            partial.replace(path)
            if last:
                _sync_folder(path.parent)


@contextlib.contextmanager
def locked_by_its_writer(partial: Path) -> Iterator[Path]:
    """Yields a name beside an unfinished file for a library that locks what it writes, as HDF5 does.

    What was written there is renamed over the file when the block ends well, and removed otherwise.
    """
    inner = _named(PARTIAL, partial)
    try:
        yield inner
        inner.replace(partial)
    finally:
        _remove(inner)


@contextlib.contextmanager
def replacing_folder(path: Path, marker: str) -> Iterator[Path]:
    """Yields a folder beside `path` to fill, and puts it in the place of `path` when the block ends well.

    An old folder is replaced only if it holds a file called `marker`, which shows that this tool wrote it. A kill
    between the two renamings leaves no folder at `path`; `sweep` puts the old one back.
    Raises OutputError where the marker is missing, another process writes to `path`, or the system refuses a write.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock.holding_name(path):
            if path.exists() and not (path / marker).is_file():
                raise OutputError(f"{path}: is there already and was not written by this command; choose another -o.")
            with _partial(path, Path.mkdir) as partial:
                yield partial
                _sync_tree(partial)
                if path.exists():
                    _exchange(partial, path)
                else:
                    partial.rename(path)
                _sync_folder(path.parent)


def check_absent(path: Path) -> None:
    """Raises OutputError if something is at `path`, which must not be overwritten."""
    if path.exists():
        raise OutputError(f"{path}: is there already; choose another -o.")


@contextlib.contextmanager
def creating_folder(path: Path) -> Iterator[Path]:
    """Yields a folder beside `path` to fill, and renames it to `path` when the block ends well.

    Unfinished files of killed processes beside `path` are swept first. Raises OutputError where something is at `path`
    already, where another process makes it, or where the system refuses a write.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        with lock.holding_name(path):
            check_absent(path)
            with _partial(path, Path.mkdir) as partial:
                yield partial
                _sync_tree(partial)
                partial.rename(path)  # which fails where another process has filled `path` meanwhile
                _sync_folder(path.parent)


def sweep(folder: Path, *, below: bool = False) -> None:
    """Removes unfinished files that killed processes left in a folder.

    With `below`, for runs and comparisons, it searches the folders inside too, and removes locks that no process holds.

    A folder that was moved away and has no successor is put back. Files that a living process is writing, here or on
    another host, stay, and so do files of similar names. Files of another host, or on a file system without locks, are
    removed when they are a day old.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if name.startswith((PARTIAL, REPLACED, lock.LOCKED)) or (below and name == lock.LOCK):
                _sweep(Path(parent, name))
        folders[:] = [name for name in folders if below and not name.startswith(".")]


def _sweep(path: Path) -> None:
    left = LEFT.fullmatch(path.name)
    with contextlib.suppress(OSError), lock.held(path) as held:
        if held is False:
            return
        if left is None:
            if held and lock.is_ours(path):
                path.unlink()
        elif (held and left["host"] == _host()) or _age(path) > OLD:
            if path.name.startswith(REPLACED):
                if not path.with_name(left["name"]).exists():
                    path.rename(path.with_name(left["name"]))
                else:
                    _discard(path)
            else:
                _remove(path)


@contextlib.contextmanager
def _partial(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Makes a file or folder that is to become `path`, and removes it when the block ends, if it is still there."""
    while True:
        partial = _named(PARTIAL, path)
        make(partial)
        with lock.held(partial) as held:
            if held is False:  # swept in the moment before it was locked
                continue
            try:
                yield partial
            finally:
                _remove(partial)
            return


def _exchange(partial: Path, path: Path) -> None:
    """Puts a folder in the place of another, which is deleted."""
    replaced = _named(REPLACED, path)
    with lock.held(path):
        try:
            path.rename(replaced)
            partial.rename(path)
        except BaseException:
            if replaced.exists() and not path.exists():  # stopped between the two
                replaced.rename(path)
            raise
        finally:
            _discard(replaced)


def _discard(replaced: Path) -> None:
    """Deletes a folder that was moved away, under another name first, so that `sweep` never puts half of it back."""
    doomed = _named(PARTIAL, replaced)
    with contextlib.suppress(OSError):
        replaced.rename(doomed)
        shutil.rmtree(doomed)


def _named(prefix: str, path: Path) -> Path:
    left = LEFT.fullmatch(path.name)
    return path.with_name(f"{prefix}{_host()}-{secrets.token_hex(3)}-{left['name'] if left else path.name}")


def _host() -> str:
    """Six hexadecimal digits that identify this host; its full name may be long."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"[:6]


def _age(path: Path) -> float:
    """Seconds since a file or anything in a folder changed."""
    return time.time() - max(each.lstat().st_mtime for each in (path, *path.rglob("*")))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # it is gone after the renaming
            path.unlink()


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Brings a renaming to disk, so that the order of renamings survives a loss of power."""
    with contextlib.suppress(OSError):  # Windows opens no folder, and not every file system can do it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for name in files:
            _sync(Path(parent, name))
        _sync_folder(Path(parent))


def shown(path: Path) -> Path:
    """A path without the temporary names of unfinished files, as it will be in the end. For messages."""
    return Path(*(left["name"] if (left := LEFT.fullmatch(part)) else part for part in path.parts))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an error of the system about a write into an OutputError that names the file."""
    try:
        yield
    except OSError as error:
        raise refused_write(shown(path), error) from error


def reserve(path: Path, size: int) -> None:
    """Makes a file of `size` zeros, at least one, to be mapped into memory and removed again.

    Raises OutputError where the disk has no room for it: a write to mapped memory could only end the process.
    """
    with writing(path), path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a UTF-8 text file, whole or not at all; `durable` as for `replacing`."""
    with replacing(path, durable=durable) as partial:
        partial.write_text(text, encoding="utf-8")
