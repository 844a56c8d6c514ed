"""The images of a folder: which videos they are, and how one of several is named by a pattern."""

import functools
import os
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from convlstm_cli.errors import InputError
from convlstm_cli.paths import printable
from convlstm_cli.video.readers.arrays.registered import SUFFIXES, is_still
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.page_list import has_pages
from convlstm_cli.video.readers.tiff_tags import is_open_ended
from convlstm_cli.video.sequences.companions import Header
from convlstm_cli.video.sequences.grouping import as_one, group
from convlstm_cli.video.sequences.names import split_suffix
from convlstm_cli.video.sequences.result import Grouping, ImageSequence, LeftOut

# fmt: off
PLAIN_IMAGES = frozenset({
    ".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif",
    ".tiff", ".webp",
})
# fmt: on
"""Suffixes of image files, in lower case and with their dot."""
IMAGES = PLAIN_IMAGES | {f"{suffix}.gz" for suffix in PLAIN_IMAGES}
"""Those and the suffixes of gzip-compressed ones."""
_DIGITS = re.compile(r"\d+")
SETTLED = 2.0
"""Seconds after its last change from which a folder's listing is kept: a later change shows in the folder's time."""
LISTED = 5
"""Sequences that a message lists."""
OPENED = 3
"""Array files of one form of name that are opened to see whether they hold a single frame."""


@dataclass(frozen=True)
class ImageFolder:
    """The images directly in a folder, without hidden ones."""

    folder: Path
    grouping: Grouping
    names: tuple[str, ...]
    """File names of all images of one page and arrays of one frame, in any order."""
    stacks: tuple[str, ...]
    """File names of the images of several pages, each a video."""

    @property
    def sequences(self) -> tuple[ImageSequence, ...]:
        """The videos that the images of one page are the frames of."""
        return self.grouping.sequences

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The images that are no frames of a video."""
        return self.grouping.left_out

    def path_of(self, sequence: ImageSequence) -> Path:
        """The path that names a sequence: the folder's where it is the only one, else a pattern's."""
        return self.folder if len(self.sequences) == 1 else self.folder / sequence.pattern


def scan(folder: Path, videos: frozenset[str]) -> ImageFolder:
    """Lists and groups the images of a folder. `videos` are the suffixes of the files beside them that are videos.

    Raises InputError for a folder that cannot be read.
    """
    with reading(folder):
        changed = folder.stat().st_mtime_ns
        if time.time_ns() - changed < SETTLED * 1e9:
            return _scan(folder, videos)
        return _scanned(folder.absolute(), videos, changed, folder)


def sequence_at(path: Path, videos: frozenset[str]) -> tuple[ImageFolder, ImageSequence]:
    """The image sequence that a path names, a folder's or a pattern's, with the folder.

    Raises InputError for a folder without images or with several sequences, and for a pattern that no image matches.
    """
    found = scan(path if path.is_dir() else path.parent, videos)
    if path.is_dir():
        return found, _only(found)
    exact = next((each for each in found.sequences if each.pattern == path.name), None)
    if exact is not None:
        return found, exact
    expression = re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in path.name))
    matched = [name for name in found.names if expression.fullmatch(name)]
    if not matched:
        raise InputError(f"{path}: no image of the folder matches this pattern; {_listing(found)}.")
    return found, as_one(matched, path.name, lambda name: header(found.folder / name))


def is_pattern(path: Path) -> bool:
    """Whether a path names images of a folder by a pattern with `*` or `?`; a file of that very name comes first."""
    return ("*" in path.name or "?" in path.name) and not os.path.lexists(path) and path.parent.is_dir()


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; False for a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def header(path: Path | BinaryIO) -> Header | None:
    """What the header of an image says; None where Pillow cannot read it."""
    from PIL import Image  # here, because it takes 30 ms to import, and videos need none

    try:
        with Image.open(path) as image:
            return Header(*image.size, image.mode not in ("1", "L", "P", "I", "F", "LA") and image.mode[:2] != "I;")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _scan(folder: Path, videos: frozenset[str]) -> ImageFolder:
    names: list[str] = []
    stacks: list[str] = []
    beside: list[str] = []
    arrays: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            stem, suffix = split_suffix(entry.name)
            if suffix.lower() in videos:
                if not is_folder(entry):
                    if suffix.lower() in SUFFIXES:
                        arrays.append(entry.name)
                    else:
                        beside.append(stem)
            elif suffix.lower() in IMAGES:
                if has_pages(folder / entry.name) or is_open_ended(folder / entry.name):
                    stacks.append(entry.name)
                    beside.append(stem)
                else:
                    names.append(entry.name)
    stills = _stills(folder, arrays)
    names = sorted([*names, *stills])
    beside += [split_suffix(name)[0] for name in set(arrays) - stills]
    grouping = group(names, lambda name: header(folder / name), beside)
    return ImageFolder(folder, grouping, tuple(names), tuple(stacks))


def _stills(folder: Path, names: Sequence[str]) -> set[str]:
    """The array files of a folder that hold a single frame each.

    Those whose names differ in digits only are alike, so that not each of many files has to be opened; the first may be
    damaged.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        alike[_DIGITS.sub("#", name)].append(name)
    return {
        name for files in alike.values() if any(is_still(folder / first) for first in files[:OPENED]) for name in files
    }


@functools.lru_cache(maxsize=256)
def _scanned(_key: Path, videos: frozenset[str], _changed: int, folder: Path) -> ImageFolder:
    """A scan that is made once for each place and time of change of a folder."""
    return _scan(folder, videos)


def _only(found: ImageFolder) -> ImageSequence:
    """The one sequence of a folder. Raises InputError where there is none, or several."""
    if len(found.sequences) == 1:
        return found.sequences[0]
    if found.sequences:
        raise InputError(
            f"{found.folder}: holds the images of {len(found.sequences)} sequences; {_listing(found)}, or move each "
            "into a folder of its own."
        )
    if found.stacks:
        raise InputError(
            f"{found.folder}: holds images of several pages, which are a video each; name one of them, such as "
            f"{printable(found.stacks[0])}."
        )
    why = f" beside {len(found.left_out[0].names)}, {found.left_out[0].reason}" if found.left_out else ""
    raise InputError(
        f"{found.folder}: holds no images{why}; give a video, or a folder of PNG, JPEG, TIFF or similar files."
    )


def _listing(found: ImageFolder) -> str:
    patterns = [repr(printable(str(found.folder / each.pattern))) for each in found.sequences[:LISTED]]
    more = f" and {len(found.sequences) - LISTED} more" if len(found.sequences) > LISTED else ""
    return f"name one, in quotes: {', '.join(patterns)}{more}" if patterns else "it holds no image sequence"
