"""Readers of videos: one file for each kind of source, all in the one registry `READERS`.

Owns how a path becomes frames; `open_video` picks the reader of a path. A further kind is a file with a `READER` and
its entry here.
May import the other files of video/ and the base modules."""

from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.registry import Registry
from convlstm_cli.video.readers import images, pages, video_file, zipped
from convlstm_cli.video.readers.arrays.registered import ARRAY_READERS, array_reader_of
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.readers.folders import is_pattern
from convlstm_cli.video.readers.kinds import kind_of, unread_kinds
from convlstm_cli.video.readers.page_list import has_pages
from convlstm_cli.video.readers.parts import MARK, split_part
from convlstm_cli.video.readers.reader import Contents, Reader
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.sequences.names import split_suffix

READERS = Registry("reader", (images.READER, pages.READER, *ARRAY_READERS, zipped.READER, video_file.READER))


def open_video(path: str | Path) -> VideoReader:
    """Opens a video file of any container that FFmpeg decodes, images, or an array.

    Images are those of a folder, or of a pattern in a folder (`frames/left_*.png`), in the order of the numbers or
    dates in their names; or the pages of one file. Hidden and other files are ignored. Transparent pixels of images
    stand in front of black. Pixels keep their numbers and their type; 3 channels are RGB.
    The axes of an array are those that its file names, or that their sizes suggest (`arrays/layout.py`). `FILE::7` is
    one of several videos of a file, `FILE::NAME` one of several arrays, and `FILE::axes=NTHW` names the axes.

    Raises InputError, here or while frames are read, that names the file, what is wrong with it and what to do.
    """
    path = Path(path)
    file, names = split_part(path)
    with reading(path):
        if not file.is_dir() and not is_pattern(file):
            _check_file(file)
        reader = reader_of(path)
        if names and reader.contents is None:
            raise InputError(f"{path}: names a part of {file.name}, which is one video; leave out what follows {MARK}.")
        try:
            return reader.open(path)
        except InputError as error:
            kind = kind_of(file)
            if kind is not None and reader.contents is not None and kind.read_as not in video_file.READER.suffixes:
                kind = None  # the error of a reader of arrays says more
            if kind is not None and not _reads(file, kind.read_as):
                raise InputError(f"{path}: is {kind.name}; {kind.remedy}.") from error
            if path.is_dir() and (held := unread_kinds(path.iterdir())):
                raise InputError(f"{path}: holds {held}.") from error
            raise


def reader_of(path: Path) -> Reader:
    """The reader of a path: folders and patterns are images, a file goes by its suffix, the rest may be videos.

    An image file of several pages is opened to see that it is one.
    """
    path = split_part(path).file
    if path.is_dir() or is_pattern(path):
        return store_reader(path) or images.READER
    if (reader := array_reader_of(path)) is not None:
        return reader
    if has_pages(path):
        return pages.READER
    suffix = split_suffix(path.name)[1].lower()
    return next((reader for reader in READERS.values() if suffix in reader.suffixes), video_file.READER)


def store_reader(path: Path) -> Reader | None:
    """The reader of a folder that is one file of a format; None for other folders."""
    return next((each for each in READERS.values() if each.is_store is not None and each.is_store(path)), None)


def contents_of(path: Path) -> Contents:
    """The videos of a file or of a part of one; the path itself where it is one video.

    Raises InputError for a file that cannot be read.
    """
    reader = reader_of(path)
    return Contents((path,)) if reader.contents is None else reader.contents(path)


def video_suffixes() -> frozenset[str]:
    """Suffixes of the files that are a video each, in lower case and with their dot."""
    return frozenset().union(*(reader.suffixes for reader in READERS.values() if not reader.single_frames))


def source_files(path: Path) -> list[Path]:
    """The files whose content makes up the video at `path`. Raises InputError for a folder that cannot be read."""
    return reader_of(path).files(path)


def _reads(path: Path, suffix: str) -> bool:
    """Whether the reader of a file is that of a suffix, so that another name would not help."""
    return bool(suffix) and reader_of(path) is reader_of(path.with_suffix(suffix))


def _check_file(path: Path) -> None:
    """Raises InputError, or the OSError of the system, for a path that is no file, is empty or may not be read."""
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"{path}: is empty; copy or download it again.")
    if not path.is_file():
        raise InputError(f"{path}: is neither a file nor a folder.")
    with path.open("rb"):
        pass  # asks for permission, since OpenCV does not say why it cannot open a file
