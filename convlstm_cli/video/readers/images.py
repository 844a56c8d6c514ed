"""Folders of images, and single images, decoded by OpenCV."""

import stat
from collections.abc import Generator
from pathlib import Path

import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame, to_uint8
from convlstm_cli.video.opencv import MAX_PIXELS, cv2, silence
from convlstm_cli.video.readers.base import Reader, TimedFrame, VideoReader, opencv_name, reading

# fmt: off
SUFFIXES = frozenset({
    ".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif",
    ".tiff", ".webp",
})
# fmt: on
MAX_BYTES = 2**30
"""Largest image file, since a file is read whole before it is decoded."""


def open_images(path: Path) -> VideoReader:
    """Opens a folder of images, which are the frames of one video, or a single image. Raises InputError."""
    return _open_folder(path) if path.is_dir() else _open_image(path)


def list_images(folder: Path) -> list[Path]:
    """The images directly in a folder, in natural order, without hidden ones. Raises InputError."""
    with reading(folder):
        return natsorted(
            sorted(  # frame1 and frame01 are equal to natsort
                entry
                for entry in folder.iterdir()
                if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
            ),
            key=lambda entry: entry.name,
        )


def is_image_sequence(folder: Path) -> bool:
    """Whether a folder directly holds the images of a video, two at least. Raises InputError."""
    return len(list_images(folder)) >= 2


def _files(path: Path) -> list[Path]:
    return list_images(path) if path.is_dir() else [path]


READER = Reader(
    "images", "folders of images, and single images", SUFFIXES, open_images, single_frames=True, files=_files
)


def _open_folder(folder: Path) -> VideoReader:
    paths = list_images(folder)
    if not paths:
        raise InputError(f"{folder}: holds no images; give a video, or a folder of PNG, JPEG, TIFF or similar files.")
    return VideoReader(folder, READER.name, _read_images(paths), len(paths))


def _open_image(path: Path) -> VideoReader:
    pages = cv2.imcount(opencv_name(path))
    if pages > 1:
        raise InputError(f"{path}: holds {pages} images in one file; save them as a folder of images or as an .npy.")
    return VideoReader(path, READER.name, _read_images([path]), 1)


def _read_images(paths: list[Path]) -> Generator[TimedFrame, None, None]:
    size: tuple[int, ...] | None = None
    for path in paths:
        image = _read_image(path)
        if size is None:
            size = image.shape[:2]
        if image.shape[:2] != size:
            (height, width), (first_height, first_width) = image.shape[:2], size
            raise InputError(
                f"{path}: is {height}x{width} pixels and {paths[0].name} is {first_height}x{first_width}; "
                "all images of a folder must have one size."
            )
        yield TimedFrame(image)


def _read_image(path: Path) -> Frame:
    """An image, (H, W, C) uint8 with C = 1 or 3, without alpha, turned as its EXIF data asks. Raises InputError."""
    pixels = to_uint8(_decode(path, _read_bytes(path)), str(path))
    if pixels.ndim == 2:
        return pixels[:, :, None]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _read_bytes(path: Path) -> Frame:
    with reading(path):
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # to read a FIFO would wait for ever
            raise InputError(f"{path}: is neither a file nor a folder; remove it.")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path}: has {status.st_size} bytes, and more than {MAX_BYTES} are not decoded.")
        return np.frombuffer(path.read_bytes(), np.uint8)


def _decode(path: Path, content: Frame) -> NDArray[np.generic]:
    """An image of any type of pixels, (H, W) or (H, W, 3) in OpenCV's order BGR."""
    try:
        with silence():
            # Without alpha, turned as EXIF asks, and grey or 16-bit if the file is.
            image = cv2.imdecode(content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if content.size else None
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise InputError(
                f"{path}: claims more than the {MAX_PIXELS} pixels that are decoded; make it smaller, or replace it if "
                "it is damaged."
            ) from error
        image = None
    if image is None:
        raise InputError(f"{path}: is damaged or not an image that OpenCV can read; replace or remove it.")
    return np.asarray(image)
