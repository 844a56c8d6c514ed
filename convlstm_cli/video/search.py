"""The videos below paths: which files and images are a video, without opening one of them as such."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.paths import printable, unique
from convlstm_cli.video.natural import natsorted
from convlstm_cli.video.readers import contents_of, source_files, store_reader, video_suffixes
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.folders import ImageFolder, is_folder, is_pattern
from convlstm_cli.video.readers.images import images_of
from convlstm_cli.video.readers.parts import MARK, split_part
from convlstm_cli.video.sequences.companions import is_beside
from convlstm_cli.video.sequences.names import split_suffix
from convlstm_cli.video.sequences.result import ImageSequence, LeftOut

WRITTEN = ("forecast.json", "comparison.json", "evaluation.json", "watch.json", "metrics.jsonl", "resume.pt")
"""A folder with one of these files is a forecast, a comparison, an evaluation, a watched video or a run. Searching a
working directory skips it: it holds frames of test videos, which would become training videos of the next run."""

LISTED = 4
"""Sequences of a folder that a note names."""
ALIKE = 0.5
"""Share of the images of a folder of masks that have the number of a frame, at least."""
_DIGITS = re.compile(r"\d+")


class FoundVideo(NamedTuple):
    """A video that a search has found."""

    name: str
    """Its path below the folder that was given, with forward slashes, printable; unique in a search."""
    path: Path


class Note(NamedTuple):
    """What a file, a folder or some images of it were taken for."""

    path: Path
    text: str
    """A clause that begins with a verb."""


@dataclass(frozen=True)
class Search:
    """What a search has found."""

    videos: tuple[FoundVideo, ...]
    """In natural order of their paths, for each path that was given."""
    notes: tuple[Note, ...]
    """What was left out, and where several videos lie in one folder, with how to say otherwise."""


@dataclass(frozen=True)
class _Found:
    """A video of a walk through folders."""

    path: Path
    folder: ImageFolder | None = None
    """The folder whose images it is; None for a file."""
    sequence: ImageSequence | None = None
    """Its images; None for a file."""

    @property
    def moments(self) -> frozenset[str]:
        """What its images have in common with masks of them: the last number of each name, or the name."""
        names = self.sequence.names if self.sequence is not None else ()
        stems = [split_suffix(name)[0] for name in names]
        return frozenset(digits[-1].lstrip("0") if (digits := _DIGITS.findall(stem)) else stem for stem in stems)


def aggregated(notes: Sequence[Note]) -> list[str]:
    """Notes as lines for people; those that differ in their path only are one line."""
    by_text: dict[str, list[Path]] = {}
    for note in notes:
        by_text.setdefault(note.text, []).append(note.path)
    return [
        f"{printable(str(paths[0]))}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {text}"
        for text, paths in by_text.items()
    ]


def find_videos(paths: Sequence[str | Path]) -> Search:
    """Every video below the paths, with a unique name, in natural order.

    A path may be a folder, searched with all folders below it, a video of any kind, or a pattern that names images of a
    folder. The images directly in a folder are one video or several, as their names say (`sequences/grouping.py`); a
    single one is none. Images of several pages are a video each. A file of several videos gives each as a part,
    `FILE::7`. Hidden and unknown files are ignored. A folder of
    masks or thumbnails beside the folder of their frames is left out. Names are relative to their path, and begin with
    its own name where there are several paths.

    Raises InputError for a path that is not there or a folder that may not be read.
    """
    found: dict[str, Path] = {}
    seen: set[Path] = set()
    notes: list[Note] = []
    for root in map(Path, paths):
        own = _own_name(root)
        videos = list(_walk(root, seen, notes, given=True) if root.is_dir() else _existing(root, notes))
        for path in _without_companions(root, videos, notes):
            inside = str(path).removeprefix(str(root))
            if path == root or inside.startswith(MARK):
                name = f"{own}{'' if path == root else inside}"
            else:
                relative = path.relative_to(root).as_posix()
                name = relative if len(paths) == 1 else f"{own}/{relative}"
            found[unique(printable(name), found.__contains__)] = path
    return Search(tuple(FoundVideo(name, path) for name, path in found.items()), tuple(notes))


def _walk(folder: Path, seen: set[Path], notes: list[Note], *, given: bool = False) -> Iterator[_Found]:
    """Videos in a folder and below it, in natural order; none that this tool wrote, unless it was `given`."""
    if store_reader(folder) is not None:
        yield from _contents(folder, notes)
        return
    if folder.resolve() in seen:  # a link back to a folder above, or a folder given twice
        return
    if not given and any((folder / name).is_file() for name in WRITTEN):
        return
    seen.add(folder.resolve())
    images = images_of(folder)
    notes += _notes(images)
    yield from (_Found(images.path_of(each), images, each) for each in images.sequences if len(each.names) > 1)
    suffixes, stacks, stills = video_suffixes(), set(images.stacks), set(images.names)
    with reading(folder), os.scandir(folder) as entries:
        inside = {entry.name: is_folder(entry) for entry in entries if not entry.name.startswith(".")}
    for name in natsorted(sorted(inside)):
        if inside[name]:
            yield from _walk(folder / name, seen, notes)
        elif name in stacks or (split_suffix(name)[1].lower() in suffixes and name not in stills):
            yield from _contents(folder / name, notes)


def _contents(path: Path, notes: list[Note]) -> Iterator[_Found]:
    """The videos of a file; the file itself where it cannot be read, so that it is reported when it is opened."""
    try:
        contents = contents_of(path)
    except (InputError, DependencyError):
        yield _Found(path)
        return
    if contents.note is not None and len(contents.videos) > 1:
        notes.append(Note(path, contents.note))
    yield from map(_Found, contents.videos)


def _notes(images: ImageFolder) -> Iterator[Note]:
    """What the images of a folder were taken for, where that is not plain."""
    folder, sequences = images.folder, images.sequences
    if len(sequences) == 1 and len(sequences[0].names) == 1:
        yield Note(folder, "holds a single image, which is no video")
    if len(sequences) > 1:
        patterns = ", ".join(printable(each.pattern) for each in sequences[:LISTED])
        more = f" and {len(sequences) - LISTED} more" if len(sequences) > LISTED else ""
        yield Note(
            folder,
            f"holds {len(sequences)} videos by the names of its images ({patterns}{more}); to take them for "
            "one, give 'FOLDER/*'",
        )
    for left in images.left_out:
        yield Note(folder, f"{_left_out(left)}; to use them, give 'FOLDER/{printable(left.pattern)}'")


def _left_out(left: LeftOut) -> str:
    count = len(left.names)
    return f"leaves out {count} image{'s' * (count != 1)} ({printable(left.pattern)}), {left.reason}"


def _without_companions(root: Path, videos: Sequence[_Found], notes: list[Note]) -> Iterator[Path]:
    """The paths of videos, without folders of masks or thumbnails whose frames are in a folder beside them."""
    marks = [_mark(root, each) for each in videos]
    frames: dict[frozenset[str], list[Path]] = defaultdict(list)
    """Folders of frames by what their names have in common with masks: many folders are numbered alike."""
    if any(marks):
        for each, mark in zip(videos, marks, strict=True):
            if mark is None and each.folder is not None:
                frames[each.moments].append(each.folder.folder)
    for each, mark in zip(videos, marks, strict=True):
        if mark is not None and _has_frames_below(mark.parent, each.moments, frames):
            text = f"is left out, since '{printable(mark.name)}' is a name for what goes with the frames beside it"
            notes.append(Note(each.path, f"{text}; give this path to use it"))
        else:
            yield each.path


def _mark(root: Path, each: _Found) -> Path | None:
    """The first folder below the root, on the way to images, whose name is one for masks or thumbnails."""
    if each.folder is None:
        return None
    folder = each.folder.folder
    way = [above for above in (folder, *folder.parents) if above != root and above.is_relative_to(root)]
    return next((above for above in reversed(way) if is_beside(above.name)), None)


def _has_frames_below(folder: Path, moments: frozenset[str], frames: Mapping[frozenset[str], Sequence[Path]]) -> bool:
    """Whether frames below a folder have at least half of the numbers of what may go with them."""
    return any(
        len(moments & others) >= ALIKE * len(moments) and any(each.is_relative_to(folder) for each in folders)
        for others, folders in frames.items()
    )


def _existing(path: Path, notes: list[Note]) -> Iterator[_Found]:
    """The videos that a path names which is no folder. Raises InputError where nothing is there."""
    if is_pattern(path):
        source_files(path)  # raises InputError where no image matches
        yield _Found(path)
        return
    with reading(path):
        split_part(path).file.lstat()
    yield from list(_contents(path, notes)) or [_Found(path)]


def _own_name(root: Path) -> str:
    if root.is_dir():
        return root.resolve().name
    file, names = split_part(root)
    return MARK.join((file.name, *names))
