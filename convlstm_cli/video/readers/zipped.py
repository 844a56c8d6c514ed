"""Folders of images in a zip archive, read from it without unpacking it."""

import functools
import io
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.paths import printable
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers.agreement import Agreement, Said
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.decoding import HEAD, may_have_alpha, transparent_type
from convlstm_cli.video.readers.folders import PLAIN_IMAGES, header
from convlstm_cli.video.readers.images import (
    MAX_BYTES,
    WITH_ALPHA,
    decoded,
    first_of,
    read_images,
    transparent_range,
)
from convlstm_cli.video.readers.parts import part_path, split_part
from convlstm_cli.video.readers.reader import Contents, Reader
from convlstm_cli.video.readers.tiff_gaps import gaps_note
from convlstm_cli.video.readers.tiff_tags import SUFFIXES
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.sequences.grouping import group
from convlstm_cli.video.sequences.names import split_suffix
from convlstm_cli.video.sequences.result import ImageSequence

LISTED = 4
"""Sequences of an archive that a message lists."""


class _Sequence(NamedTuple):
    """An image sequence of an archive."""

    folder: str
    """Its folder in the archive, with a slash behind it; empty at the top."""
    images: ImageSequence

    @property
    def name(self) -> str:
        """What names it behind the archive."""
        return f"{self.folder}{self.images.pattern}"


def open_zip(path: Path) -> VideoReader:
    """Opens the images of an archive, or of one of several sequences in it, `FILE.zip::FOLDER/PATTERN`.

    Raises InputError.
    """
    file, names = split_part(path)
    with _reading(file):
        archive = zipfile.ZipFile(file)
    try:
        with _reading(file):
            sequence = _chosen(path, _sequences(archive), names)
        images = [f"{sequence.folder}{name}" for name in sequence.images.names]
        numbers = None if sequence.images.numbers is None else list(sequence.images.numbers)
        notes = list(sequence.images.notes)
        with _reading(file):
            notes += filter(None, [first_of(_gaps_note(archive, name) for name in images)])
            holes = first_of(_transparent_type(archive, name) for name in images)
        agreement = Agreement()
        video = VideoReader(
            path,
            READER.name,
            read_images(
                [f"{file}: {name}" for name in images],
                lambda number: _read_image(archive, file, images[number], holes=holes is not None),
                sequence.images.times,
                agreement,
                archive.close,
                numbers=numbers,
                notes=notes,
            ),
            len(images),
            start=sequence.images.start,
            numbers=numbers,
            notes=notes,
            declared_range=transparent_range(holes, notes),
        )
        assert agreement.first is not None  # the first frame is read
        video.unit, video.missing = agreement.first.unit, agreement.first.missing
        return video
    except BaseException:
        archive.close()
        raise


def _contents(path: Path) -> Contents:
    """The image sequences of an archive."""
    file, names = split_part(path)
    if names:
        return Contents((path,))
    with _reading(file), zipfile.ZipFile(file) as archive:
        found = _sequences(archive)
    if len(found) == 1:
        return Contents((file,))
    patterns = ", ".join(printable(each.name) for each in found[:LISTED])
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    note = f"holds {len(found)} videos by the folders and names of its images ({patterns}{more})"
    return Contents(tuple(part_path(file, each.name) for each in found), note)


READER = Reader(
    "zip",
    "folders of images in a zip archive",
    frozenset({".zip"}),
    open_zip,
    is_film=False,
    files=lambda path: [split_part(path).file],
    contents=_contents,
)


def _sequences(archive: zipfile.ZipFile) -> list[_Sequence]:
    """The image sequences of an archive: of each folder those that its names say, without hidden files."""
    folders: dict[str, list[str]] = defaultdict(list)
    for member in archive.namelist():
        parts = PurePosixPath(member).parts
        if any(part.startswith(".") or part == "__MACOSX" for part in parts) or member.endswith("/"):
            continue
        if split_suffix(member)[1].lower() in PLAIN_IMAGES:
            folders[member[: -len(parts[-1])]].append(parts[-1])
    found = []
    for folder in sorted(folders):
        load = functools.partial(_content, archive, folder)
        grouping = group(sorted(folders[folder]), lambda name, load=load: header(io.BytesIO(load(name))))  # type: ignore[misc]
        found += [_Sequence(folder, each) for each in grouping.sequences if len(each.names) > 1]
    return found


def _chosen(path: Path, found: list[_Sequence], names: tuple[str, ...]) -> _Sequence:
    """The sequence that a path names, or the only one. Raises InputError where there is none, or several."""
    fitting = [each for each in found if not names or each.name == names[0] or fnmatchcase(each.name, names[0])]
    if len(fitting) == 1 and len(names) < 2:
        return fitting[0]
    if not found:
        raise InputError(f"{path}: is a zip archive without an image sequence; unpack it and give the folder.")
    listed = ", ".join(repr(printable(str(part_path(split_part(path).file, each.name)))) for each in found[:LISTED])
    raise InputError(f"{path}: the archive holds {len(found)} image sequences; name one, in quotes: {listed}.")


def _content(archive: zipfile.ZipFile, folder: str, name: str) -> bytes:
    member = archive.getinfo(f"{folder}{name}")
    if member.file_size > MAX_BYTES:
        raise InputError(
            f"{archive.filename}: {name} has {member.file_size} bytes, and more than {MAX_BYTES} are not read."
        )
    return archive.read(member)


def _gaps_note(archive: zipfile.ZipFile, name: str) -> str | None:
    """The note about an image that says which of its pixels are missing; None for others."""
    is_tiff = split_suffix(name)[1].lower() in SUFFIXES
    return gaps_note(io.BytesIO(_content(archive, "", name))) if is_tiff else None


def _transparent_type(archive: zipfile.ZipFile, name: str) -> np.dtype[Any] | None:
    """The type of the pixels of an image of which some are transparent, as `transparent_type` gives it."""
    suffix = split_suffix(name)[1].lower()
    if suffix in SUFFIXES:
        may_have_gaps = _gaps_note(archive, name) is not None
    elif suffix in WITH_ALPHA:
        with archive.open(name) as member:
            may_have_gaps = may_have_alpha(member.read(HEAD))
    else:
        return None
    return transparent_type(np.frombuffer(_content(archive, "", name), np.uint8), name) if may_have_gaps else None


def _read_image(archive: zipfile.ZipFile, file: Path, name: str, *, holes: bool) -> tuple[Frame, Said]:
    with _reading(file):
        content = _content(archive, "", name)
    return decoded(np.frombuffer(content, np.uint8), f"{file}: {name}", holes=holes)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what zipfile raises into an InputError that names the archive."""
    with reading(path):
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError(
                f"{path}: is a damaged or encrypted zip archive ({error}); unpack it and give the folder."
            ) from error
