"""Folders of images or of arrays of one frame, and single images, decoded by OpenCV."""

import contextlib
import gzip
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame, is_grey
from convlstm_cli.video.readers import video_file
from convlstm_cli.video.readers.agreement import Agreement, Load, Said
from convlstm_cli.video.readers.arrays import registered
from convlstm_cli.video.readers.checks import EIGHT_BITS, TRANSPARENT, reading
from convlstm_cli.video.readers.decoding import (
    HEAD,
    DamagedImageError,
    as_floats,
    decode_image,
    may_have_alpha,
    to_frame,
    transparent_type,
)
from convlstm_cli.video.readers.folders import IMAGES, ImageFolder, is_pattern, scan, sequence_at
from convlstm_cli.video.readers.palette import READ_AS_COLOURS, has_colours
from convlstm_cli.video.readers.reader import Reader
from convlstm_cli.video.readers.shared_facts import shared_facts
from convlstm_cli.video.readers.tiff_facts import tiff_facts
from convlstm_cli.video.readers.tiff_gaps import IN_ALPHA, IN_MASK, gaps_note
from convlstm_cli.video.readers.tiff_tags import SUFFIXES, tags_in, tiff_tags
from convlstm_cli.video.readers.unpacked import is_packed, read_gzip
from convlstm_cli.video.readers.video_reader import EXACT_GREY, TimedFrame, VideoReader
from convlstm_cli.video.source import SourceFacts

Found = TypeVar("Found")

MAX_BYTES = 2**30
"""Largest image file, since a file is read whole before it is decoded."""
MOST_LOST = 0.1
"""Share of the images of a video that may be damaged; with more it is hardly worth to go on."""
WITH_ALPHA = frozenset({".png", ".webp"})
"""Suffixes of images whose transparent pixels are missing."""
VIDEOS = registered.SUFFIXES | video_file.READER.suffixes
"""Suffixes of the files beside images that are videos, and whose names say which images are pictures of them."""


def open_images(path: Path) -> VideoReader:
    """Opens images that are the frames of one video, or a single image.

    `path` is a folder, a pattern such as FOLDER/left_*.png, or an image. Raises InputError.
    """
    if not path.is_dir() and not is_pattern(path):
        return _opened(path, [path], None, None, [], None)
    found, sequence = sequence_at(path, VIDEOS)
    files = [found.folder / name for name in sequence.names]
    numbers = None if sequence.numbers is None else list(sequence.numbers)
    notes, times = list(sequence.notes), sequence.times
    reader = registered.array_reader_of(files[0])
    if reader is not None and reader.position is not None:
        files, times, numbers = sorted(files, key=reader.position), None, None
    video = _opened(path, files, times, numbers, notes, sequence.start)
    if reader is not None:
        with reader.open(files[0]) as first:
            video.declared_range = first.declared_range or video.declared_range
            notes += [note for note in first.notes if note not in notes]
    return video


def _opened(
    path: Path,
    files: Sequence[Path],
    times: Sequence[float] | None,
    numbers: list[float] | None,
    notes: list[str],
    start: datetime | None,
) -> VideoReader:
    holes = first_of(map(_transparent_type, files))
    tags = None if registered.array_reader_of(files[0]) is not None else tiff_tags(files[0])
    notes += [] if tags is None else tags.notes
    notes += filter(None, [first_of(map(_gaps_note, files))])
    agreement = Agreement()
    video = VideoReader(
        path,
        READER.name,
        _read_files(files, times, agreement, numbers, notes, holes=holes is not None),
        len(files),
        start=start,
        numbers=numbers,
        notes=notes,
        declared_range=transparent_range(holes, notes),
        facts=lambda: shared_facts(files, lambda file: _facts(file, gaps=holes is not None), notes),
    )
    assert agreement.first is not None  # the first frame is read
    video.unit, video.missing = agreement.first.unit, agreement.first.missing
    return video


def first_of(found: Iterable[Found | None]) -> Found | None:
    """The first that is there; None where none is. No more are asked for than that takes."""
    return next((each for each in found if each is not None), None)


def transparent_range(found: np.dtype[Any] | None, notes: list[str]) -> tuple[float, float] | None:
    """The range that images declare whose transparent pixels are missing, which is noted; None for other images."""
    if found is None:
        return None
    if not set(notes) & {IN_MASK, IN_ALPHA}:
        notes.append(TRANSPARENT)
    return EIGHT_BITS if found == np.uint8 else None


def images_of(folder: Path) -> ImageFolder:
    """The images of a folder, grouped. Raises InputError."""
    return scan(folder, VIDEOS)


def _facts(file: Path, *, gaps: bool) -> SourceFacts:
    """What a forecast takes on of an image, with `gaps` of one of frames that are floats for their missing pixels.

    Pictures of 8 bits are given back as PNG.
    """
    if (reader := registered.array_reader_of(file)) is not None:
        with reader.open(file) as first:
            facts = first.facts()
    else:
        facts = tiff_facts(file) if file.suffix.lower() in SUFFIXES else SourceFacts()
        if facts.format != "geotiff" and facts.dtype in ("", "uint8"):
            facts = replace(facts, format="png")
    return facts.with_gaps() if gaps else facts


def _files(path: Path) -> list[Path]:
    if not path.is_dir() and not is_pattern(path):
        return [path]
    found, sequence = sequence_at(path, VIDEOS)
    return [found.folder / name for name in sequence.names]


READER = Reader(
    "images",
    "folders of images or of arrays of one frame, and single images",
    IMAGES,
    open_images,
    single_frames=True,
    is_film=False,
    files=_files,
)


def read_images(
    sources: Sequence[str],
    load: Load,
    times: Sequence[float] | None,
    agreement: Agreement,
    close: Callable[[], None] = lambda: None,
    *,
    numbers: list[float] | None = None,
    notes: list[str] | None = None,
) -> Generator[TimedFrame, None, None]:
    """The images of one video, without those that cannot be decoded.

    Args:
        sources: names of the images, for messages.
        load: gives the image of a position; raises DamagedImageError for one that cannot be decoded.
        times: seconds from the first image to each.
        close: called at the end.
        numbers: of the images; those of damaged ones are taken out.
        notes: to which it is added how many are damaged, and whether grey and coloured ones or palettes are among them.

    Raises InputError where over a tenth of them cannot be decoded, for files that cannot be read, and where sizes
    differ.
    """
    first, size = "", (0, 0)
    kinds = _Kinds()
    lost: list[DamagedImageError] = []
    with contextlib.ExitStack() as stack:
        stack.callback(close)
        for position, source in enumerate(sources):
            try:
                image, said = load(position)
            except DamagedImageError as error:
                if numbers is not None:
                    del numbers[position - len(lost)]
                lost.append(error)
                if len(lost) > MOST_LOST * len(sources):
                    raise lost[0] from None
                continue
            height, width = image.shape[:2]
            if not first:
                first, size = Path(source).name, (height, width)
            if (height, width) != size:
                raise InputError(
                    f"{source}: is {height}x{width} pixels and {first} is {size[0]}x{size[1]}; all images of a folder "
                    "must have one size."
                )
            kinds.add(image, said, Path(source).name)
            yield TimedFrame(agreement.of(image, said, source), None if times is None else times[position])
    if notes is not None:
        notes += kinds.notes()
        if lost:
            notes.append(f"leaves out {len(lost)} of its {len(sources)} images, which cannot be decoded: {lost[0]}")


class _Kinds:
    """The first image of each kind among those of one video, by its name."""

    def __init__(self) -> None:
        self._grey = self._coloured = self._indexed = ""

    def add(self, frame: Frame, said: Said, name: str) -> None:
        if said.has_palette:
            self._indexed = self._indexed or name
        if frame.shape[2] == 1:
            self._grey = self._grey or name
        elif not self._coloured and not is_grey(frame, EXACT_GREY):
            self._coloured = name

    def notes(self) -> list[str]:
        notes = []
        if self._grey and self._coloured:
            notes.append(
                f"some of its images are grey, such as {self._grey}, and others in colour, such as {self._coloured}; "
                "all are read as RGB"
            )
        if self._indexed:
            notes.append(f"{READ_AS_COLOURS} (such as {self._indexed})")
        return notes


def _read_files(
    paths: Sequence[Path],
    times: Sequence[float] | None,
    agreement: Agreement,
    numbers: list[float] | None = None,
    notes: list[str] | None = None,
    *,
    holes: bool,
) -> Generator[TimedFrame, None, None]:
    def load(position: int) -> tuple[Frame, Said]:
        return _read_image(paths[position], holes=holes)

    return read_images(list(map(str, paths)), load, times, agreement, numbers=numbers, notes=notes)


def _read_image(path: Path, *, holes: bool) -> tuple[Frame, Said]:
    """An image, (H, W, C) with C = 1 or 3, as `decode_image` gives it; or an array's frame. Raises InputError."""
    if (reader := registered.array_reader_of(path)) is not None:
        with reader.open(path) as video:
            frame = as_floats(next(video)) if holes else next(video)
            if next(video, None) is not None:
                raise InputError(f"{path}: holds more than one frame, unlike the files beside it; move it elsewhere.")
            return frame, Said(video.unit, video.missing)
    return decoded(_read_bytes(path), str(path), holes=holes)


def decoded(content: NDArray[np.uint8], source: str, *, holes: bool) -> tuple[Frame, Said]:
    """The frame of an image file of N bytes, and what the file says of it. Raises InputError as `decode_image` does."""
    tags = tags_in(content)
    said = Said() if tags is None else Said(tags.packing.unit, tags.missing)
    frame = to_frame(decode_image(content, source, holes=holes), source)
    return frame, said._replace(has_palette=has_colours(content))


def _gaps_note(path: Path) -> str | None:
    """The note about an image file that says which of its pixels are missing; None for others."""
    if _suffix(path) not in SUFFIXES or not path.is_file():
        return None
    with reading(path), _opened_file(path) as file:
        return gaps_note(file)


def _transparent_type(path: Path) -> np.dtype[Any] | None:
    """The type of the pixels of an image file of which some are transparent, as `transparent_type` gives it."""
    if (reader := registered.array_reader_of(path)) is not None:
        tags = tiff_tags(path)
        if tags is None or not tags.gaps_are_floats or _gaps_note(path) is None:
            return None
        with reader.open(path) as video:
            return tags.dtype if video.facts().dtype.startswith("float") else None
    if _suffix(path) in SUFFIXES:
        may_have_gaps = _gaps_note(path) is not None
    elif _suffix(path) in WITH_ALPHA and path.is_file():
        with reading(path), _opened_file(path) as file:
            may_have_gaps = may_have_alpha(file.read(HEAD))
    else:
        return None
    return transparent_type(_read_bytes(path), str(path)) if may_have_gaps else None


def _suffix(path: Path) -> str:
    """The suffix of an image file in lower case, of a compressed one that of its content."""
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower()


def _opened_file(path: Path) -> BinaryIO:
    return gzip.open(path) if is_packed(path) else path.open("rb")  # type: ignore[return-value] # as in unpacked.py


def _read_bytes(path: Path) -> NDArray[np.uint8]:
    with reading(path):
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # to read a FIFO would wait for ever
            raise InputError(f"{path}: is neither a file nor a folder; remove it.")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path}: has {status.st_size} bytes, and more than {MAX_BYTES} are not decoded.")
        return np.frombuffer(read_gzip(path, MAX_BYTES) if is_packed(path) else path.read_bytes(), np.uint8)
