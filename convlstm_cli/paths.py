"""Paths: new ones that nothing has, those that may be meant, how messages and commands show them, and the cache."""

import functools
import itertools
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import platformdirs

MOST_COMPARED = 2000
"""Names of a folder that are compared with one that is not there."""


def numbered(folder: Path, stem: str) -> Path:
    """A path in a folder that is not taken: STEM-1, STEM-2 and so on."""
    return folder / _first_free(stem, 1, lambda name: (folder / name).exists())


def unique(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name itself if it is free, else NAME-2, NAME-3 and so on."""
    return _first_free(name, 2, is_taken) if is_taken(name) else name


def _first_free(name: str, first: int, is_taken: Callable[[str], bool]) -> str:
    numbers = (f"{name}-{number}" for number in itertools.count(first))
    return next(candidate for candidate in numbers if not is_taken(candidate))


def nearest(path: Path) -> Path | None:
    """What may be meant by a path that is not there: one that is spelt a little differently; None if none is."""
    import difflib  # here, because only a mistake needs it

    gone = path
    while not gone.parent.exists() and gone.parent != gone:
        gone = gone.parent
    try:
        with os.scandir(gone.parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, MOST_COMPARED)]
    except OSError:
        return None
    alike = difflib.get_close_matches(gone.name, names, n=1)
    found = gone.parent.joinpath(*alike, path.relative_to(gone)) if alike else None
    return found if found is not None and found.exists() else None


def quoted(path: Path) -> str:
    """A path as it is typed in a shell: in quotes where it has spaces or signs of the shell."""
    return shlex.quote(str(path))


def printable(name: str) -> str:
    """A name whose characters that a terminal, UTF-8 or JSON cannot hold are escaped, such as \\n."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def resolved(path: Path) -> Path:
    """`Path.resolve`, several times as quick for the many files of one folder."""
    if path.name in ("", "..") or path.is_symlink():
        return path.resolve()
    return _resolved_folder(path.parent.absolute()) / path.name


@functools.lru_cache(maxsize=16)
def _resolved_folder(folder: Path) -> Path:
    return folder.resolve()


def cache_folder() -> Path:
    """The folder of decoded videos and compiled kernels: $CONVLSTM_CACHE, or the system's folder for caches."""
    chosen = os.environ.get("CONVLSTM_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("convlstm")


def cache_size() -> int:
    """Bytes of all files in `cache_folder()`; 0 if there is none."""
    return sum(path.stat().st_size for path in cache_folder().rglob("*") if path.is_file())
