"""Parts of files: `FILE::PART` names one of several videos in a file, or says how the file is to be read."""

import os
from pathlib import Path
from typing import NamedTuple

MARK = "::"


class Part(NamedTuple):
    """A path without what stands behind its marks, and that."""

    file: Path
    names: tuple[str, ...]
    """What stands behind each mark; empty for a path without one."""


def split_part(path: Path) -> Part:
    """The file or folder of a path, and the part of it. A file or folder of that very name comes first."""
    text = str(path)
    if MARK not in text or os.path.lexists(path):
        return Part(path, ())
    pieces = text.split(MARK)
    for stop in range(len(pieces) - 1, 0, -1):
        file = Path(MARK.join(pieces[:stop]))
        if pieces[stop - 1] and os.path.lexists(file):
            return Part(file, tuple(pieces[stop:]))
    return Part(path, ())


def part_path(file: Path, *names: str) -> Path:
    """The path that names a part of a file; the file's own without names."""
    return Path(MARK.join((str(file), *names)))
