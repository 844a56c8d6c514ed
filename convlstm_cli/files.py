"""Files that are whole or not there: written beside and renamed over."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from convlstm_cli.errors import OutputError

PARTIAL = ".partial-"
"""Prefix of a file or folder that is still being written."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames it over `path` when the block ends well.

    The suffix is kept, since OpenCV chooses the container by it. On any exception `path` is as it was before
    and the part-written file is gone. Raises OutputError where the system refuses a write.
    """
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with contextlib.suppress(OSError):  # it is gone after the renaming, or never was
            partial.unlink()


@contextlib.contextmanager
def replacing_folder(path: Path, marker: str) -> Iterator[Path]:
    """Gives a folder beside `path` to fill, and puts it in the place of `path` when the block ends well.

    An old folder is replaced only if it holds a file called `marker`, which says that it is one of ours.
    Raises OutputError where it does not, or where the system refuses a write.
    """
    if path.exists() and not (path / marker).is_file():
        raise OutputError(f"{path}: is there already and was not written by this command; choose another -o.")
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    replaced = path.with_name(f"{PARTIAL}{os.getpid()}-old-{path.name}")
    try:
        with writing(path):
            partial.mkdir(parents=True)
            yield partial
            if path.exists():
                path.rename(replaced)
            partial.rename(path)
    except BaseException:
        if replaced.exists() and not path.exists():  # stopped between the two renamings
            replaced.rename(path)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def numbered(folder: Path, stem: str) -> Path:
    """A path in a folder that is not taken: STEM-1, STEM-2 and so on."""
    return next(path for number in itertools.count(1) if not (path := folder / f"{stem}-{number}").exists())


def printable(name: str) -> str:
    """A name without what a terminal, UTF-8 or JSON could not hold: such letters become escapes such as \\n."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


@contextlib.contextmanager
def creating_folder(path: Path) -> Iterator[Path]:
    """Gives a folder beside `path` to fill, and renames it to `path` when the block ends well.

    Raises OutputError where something is at `path` already, or where the system refuses a write.
    """
    if path.exists():
        raise OutputError(f"{path}: is there already; choose another -o.")
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        with writing(path):
            partial.mkdir(parents=True)
            yield partial
            partial.rename(path)  # which fails where another process has filled `path` meanwhile
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says about a write into an OutputError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written ({reason}); free some space or choose another -o.") from error


def reserve(path: Path, size: int) -> None:
    """Makes a file of `size` zeros, at least one, to be mapped into memory and removed again.

    Raises OutputError where the disk has no room for it: a write to mapped memory could only end the process.
    """
    with writing(path), path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def cache_folder() -> Path:
    """Where decoded videos and compiled kernels are kept: $CONVLSTM_CACHE, or this system's folder for caches."""
    chosen = os.environ.get("CONVLSTM_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("convlstm")


def cache_size() -> int:
    """Bytes of all files in `cache_folder()`; 0 if there is none."""
    return sum(path.stat().st_size for path in cache_folder().rglob("*") if path.is_file())
