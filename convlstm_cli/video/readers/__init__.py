"""Readers of videos: one file for each kind of source, all in the one registry `READERS`.

Owns how a path becomes frames; `open_video` picks the reader of a path. A further kind is a file with a `READER` and
its entry here.
May import the other files of video/ and the ground."""

from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.registry import Registry
from convlstm_cli.video.readers import array, images, pages, video_file
from convlstm_cli.video.readers.base import Reader, VideoReader, reading
from convlstm_cli.video.readers.folders import is_pattern
from convlstm_cli.video.readers.kinds import unread_kind, unread_kinds
from convlstm_cli.video.readers.page_list import has_pages

READERS = Registry("reader", (images.READER, pages.READER, array.READER, video_file.READER))


def open_video(path: str | Path) -> VideoReader:
    """Opens a video file of any container that FFmpeg decodes, images, or an .npy array.

    Images are those of a folder, or of a pattern in a folder (`frames/left_*.png`), in the order of the numbers or
    dates in their names; or the pages of one file. Hidden and other files are ignored. Transparent pixels of images
    stand in front of black. 16-bit pixels are scaled by 1/257, floats must lie in [0, 1] and are scaled by 255.
    Arrays are (T, H, W) or (T, H, W, C) with C = 1, 3 (RGB) or 4 (RGBA).

    Raises InputError, here or while frames are read, that names the file, what is wrong with it and what to do.
    """
    path = Path(path)
    with reading(path):
        if not path.is_dir() and not is_pattern(path):
            _check_file(path)
        try:
            return reader_of(path).open(path)
        except InputError as error:
            if (kind := unread_kind(path)) is not None:
                raise InputError(f"{path}: is {kind.name}; {kind.remedy}.") from error
            if path.is_dir() and (held := unread_kinds(path.iterdir())):
                raise InputError(f"{path}: holds {held}.") from error
            raise


def reader_of(path: Path) -> Reader:
    """The reader of a path: folders and patterns are images, a file goes by its suffix, the rest may be videos.

    An image file of several pages is opened to see that it is one.
    """
    if path.is_dir() or is_pattern(path):
        return images.READER
    if has_pages(path):
        return pages.READER
    suffix = path.suffix.lower()
    return next((reader for reader in READERS.values() if suffix in reader.suffixes), video_file.READER)


def video_suffixes() -> frozenset[str]:
    """Suffixes of the files that are a video each, in lower case and with their dot."""
    return frozenset().union(*(reader.suffixes for reader in READERS.values() if not reader.single_frames))


def source_files(path: Path) -> list[Path]:
    """The files whose content makes up the video at `path`. Raises InputError for a folder that cannot be read."""
    return reader_of(path).files(path)


def _check_file(path: Path) -> None:
    """Raises InputError, or the OSError of the system, for a path that is no file, is empty or may not be read."""
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"{path}: is empty; copy or download it again.")
    if not path.is_file():
        raise InputError(f"{path}: is neither a file nor a folder.")
    with path.open("rb"):
        pass  # asks for permission, since OpenCV does not say why it cannot open a file
