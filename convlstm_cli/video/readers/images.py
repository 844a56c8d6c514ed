"""Folders of images, and single images, decoded by OpenCV."""

import stat
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers import array, video_file
from convlstm_cli.video.readers.base import Reader, TimedFrame, VideoReader, reading
from convlstm_cli.video.readers.decoding import decode_image, to_frame
from convlstm_cli.video.readers.folders import IMAGES, ImageFolder, is_pattern, scan, sequence_at

MAX_BYTES = 2**30
"""Largest image file, since a file is read whole before it is decoded."""
VIDEOS = array.READER.suffixes | video_file.READER.suffixes
"""Suffixes of the files beside images that are videos, and whose names say which images are pictures of them."""


def open_images(path: Path) -> VideoReader:
    """Opens images that are the frames of one video, or a single image.

    `path` is a folder, a pattern such as FOLDER/left_*.png, or an image. Raises InputError.
    """
    if not path.is_dir() and not is_pattern(path):
        return VideoReader(path, READER.name, _read_images([path], None), 1)
    found, sequence = sequence_at(path, VIDEOS)
    files = [found.folder / name for name in sequence.names]
    return VideoReader(
        path,
        READER.name,
        _read_images(files, sequence.times),
        len(files),
        start=sequence.start,
        notes=list(sequence.notes),
    )


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
    "folders of images, and single images",
    IMAGES,
    open_images,
    single_frames=True,
    is_film=False,
    files=_files,
)


def _read_images(paths: Sequence[Path], times: Sequence[float] | None) -> Generator[TimedFrame, None, None]:
    size: tuple[int, ...] | None = None
    for number, path in enumerate(paths):
        image = _read_image(path)
        if size is None:
            size = image.shape[:2]
        if image.shape[:2] != size:
            (height, width), (first_height, first_width) = image.shape[:2], size
            raise InputError(
                f"{path}: is {height}x{width} pixels and {paths[0].name} is {first_height}x{first_width}; "
                "all images of a folder must have one size."
            )
        yield TimedFrame(image, None if times is None else times[number])


def _read_image(path: Path) -> Frame:
    """An image, (H, W, C) uint8 with C = 1 or 3, in front of black, turned as its EXIF data asks. Raises InputError."""
    return to_frame(decode_image(_read_bytes(path), str(path)), str(path))


def _read_bytes(path: Path) -> Frame:
    with reading(path):
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # to read a FIFO would wait for ever
            raise InputError(f"{path}: is neither a file nor a folder; remove it.")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path}: has {status.st_size} bytes, and more than {MAX_BYTES} are not decoded.")
        return np.frombuffer(path.read_bytes(), np.uint8)
