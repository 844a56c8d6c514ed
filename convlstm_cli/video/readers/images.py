"""Folders of images or of arrays of one frame, and single images, decoded by OpenCV."""

import contextlib
import stat
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers import video_file
from convlstm_cli.video.readers.arrays import registered
from convlstm_cli.video.readers.base import Reader, TimedFrame, VideoReader, reading
from convlstm_cli.video.readers.decoding import decode_image, to_frame
from convlstm_cli.video.readers.folders import IMAGES, ImageFolder, is_pattern, scan, sequence_at
from convlstm_cli.video.readers.tiff_tags import read_tags
from convlstm_cli.video.readers.unpacked import is_packed, read_gzip

MAX_BYTES = 2**30
"""Largest image file, since a file is read whole before it is decoded."""
VIDEOS = registered.SUFFIXES | video_file.READER.suffixes
"""Suffixes of the files beside images that are videos, and whose names say which images are pictures of them."""


def open_images(path: Path) -> VideoReader:
    """Opens images that are the frames of one video, or a single image.

    `path` is a folder, a pattern such as FOLDER/left_*.png, or an image. Raises InputError.
    """
    if not path.is_dir() and not is_pattern(path):
        return VideoReader(path, READER.name, _read_files([path], None), 1)
    found, sequence = sequence_at(path, VIDEOS)
    files = [found.folder / name for name in sequence.names]
    notes, times = list(sequence.notes), sequence.times
    reader = registered.array_reader_of(files[0])
    if reader is not None and reader.position is not None:
        files, times = sorted(files, key=reader.position), None
    video = VideoReader(path, READER.name, _read_files(files, times), len(files), start=sequence.start, notes=notes)
    if reader is not None:
        with reader.open(files[0]) as first:
            video.unit, video.missing, video.declared_range = first.unit, first.missing, first.declared_range
            notes += first.notes
    elif files[0].suffix.lower() in (".tif", ".tiff") and (tags := read_tags(files[0])) is not None:
        video.missing = tags.nodata
    return video


def images_of(folder: Path) -> ImageFolder:
    """The images of a folder, grouped. Raises InputError."""
    return scan(folder, VIDEOS)


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
    load: Callable[[int], Frame],
    times: Sequence[float] | None,
    close: Callable[[], None] = lambda: None,
) -> Generator[TimedFrame, None, None]:
    """The images of one video, which `load` gives by their numbers; `sources` name them in messages.

    Calls `close` at the end. Raises InputError where their sizes differ.
    """
    size: tuple[int, ...] | None = None
    with contextlib.ExitStack() as stack:
        stack.callback(close)
        for number, source in enumerate(sources):
            image = load(number)
            size = size or image.shape[:2]
            if image.shape[:2] != size:
                (height, width), (first_height, first_width) = image.shape[:2], size
                first = Path(sources[0]).name
                raise InputError(
                    f"{source}: is {height}x{width} pixels and {first} is {first_height}x{first_width}; all images of "
                    "a folder must have one size."
                )
            yield TimedFrame(image, None if times is None else times[number])


def _read_files(paths: Sequence[Path], times: Sequence[float] | None) -> Generator[TimedFrame, None, None]:
    return read_images(list(map(str, paths)), lambda number: _read_image(paths[number]), times)


def _read_image(path: Path) -> Frame:
    """An image, (H, W, C) uint8 with C = 1 or 3, in front of black, turned as its EXIF data asks; or an array's frame.

    Raises InputError.
    """
    if (reader := registered.array_reader_of(path)) is not None:
        with reader.open(path) as video:
            frame = next(video)
            if next(video, None) is not None:
                raise InputError(f"{path}: holds more than one frame, unlike the files beside it; move it elsewhere.")
            return frame
    return to_frame(decode_image(_read_bytes(path), str(path)), str(path))


def _read_bytes(path: Path) -> Frame:
    with reading(path):
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # to read a FIFO would wait for ever
            raise InputError(f"{path}: is neither a file nor a folder; remove it.")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path}: has {status.st_size} bytes, and more than {MAX_BYTES} are not decoded.")
        return np.frombuffer(read_gzip(path, MAX_BYTES) if is_packed(path) else path.read_bytes(), np.uint8)
