"""Any video, folder of images or numpy array as uint8 frames, one at a time.

Memory does not grow with the length of a video, and no frame count that a file declares is believed: many are
off by one, negative or far too high. Reading ends where decoding does.
"""

import contextlib
import math
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import GREY_TOLERANCE, Frame, to_uint8
from convlstm_cli.video.opencv import MAX_PIXELS, VIDEO_BACKEND, cv2, silence

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts", ".m4v", ".mjpeg", ".mjpg",
    ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".npy", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
IMAGE_SUFFIXES = frozenset({
    ".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif",
    ".tiff", ".webp",
})
# fmt: on

MAX_DECLARED_FRAMES = 10**8
MAX_IMAGE_BYTES = 2**30
"""Largest image file, as a whole one is read before it is decoded."""
CUT_OFF = 0.9
"""Share of the declared frames below which a video counts as cut off: containers are often wrong by a frame or two."""
MAPPED_FRAMES = 16
"""Frames of an array that are mapped into memory at a time."""
CONVERT = "convert it to H.264 or VP9, for example with `ffmpeg -i IN -c:v libvpx-vp9 OUT.webm`"


class VideoReader:
    """The frames of one video, in order, once. A context manager and an iterator of (H, W, C) uint8 frames.

    Frames of files are always RGB, those of images and arrays have their own 1 or 3 channels, and a folder may
    mix both.
    """

    path: Path
    kind: Literal["file", "images", "array"]
    fps: float | None
    """Frames per second; None where the source has none, or OpenCV's 1000, which it says when unsure."""
    declared_frames: int | None
    """What the source says of its length, never trusted; None where it says nothing or something absurd."""
    height: int
    """Height in pixels of the first frame as decoded, that is after rotation."""
    width: int
    """Width in pixels of the first frame as decoded."""

    def __init__(
        self,
        path: Path,
        kind: Literal["file", "images", "array"],
        frames: Generator[Frame, None, None],
        declared_frames: int | None = None,
        fps: float | None = None,
    ) -> None:
        self.path, self.kind, self.declared_frames, self.fps = path, kind, declared_frames, fps
        self._frames = frames
        self._first: Frame | None = next(frames, None)
        if self._first is None:
            raise InputError(f"{path}: opens but no frame can be decoded (AV1 and animated WebP do that); {CONVERT}.")
        self.height, self.width = self._first.shape[:2]

    @property
    def grey_tolerance(self) -> int:
        """How far the channels of a grey pixel may lie apart: video codecs tint, images and arrays hardly do."""
        return GREY_TOLERANCE if self.kind == "file" else 2

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._frames)

    def close(self) -> None:
        """Releases the file; nothing can be read afterwards."""
        self._first = None
        self._frames.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_video(path: str | Path) -> VideoReader:
    """Opens a video file of any container that OpenCV decodes, a folder of images, an image, or an .npy array.

    Images of a folder are read in natural order (frame2 before frame10); hidden and other files are ignored.
    Alpha is dropped. 16-bit pixels are scaled by 1/257, floats must lie in [0, 1] and are scaled by 255.
    Arrays are (T, H, W) or (T, H, W, C) with C = 1, 3 (RGB) or 4 (RGBA).

    Raises InputError, here or while frames are read, that names the file, what is wrong with it and what to do.
    """
    path = Path(path)
    with reading(path):
        if path.is_dir():
            return _open_images(path)
        if path.stat().st_size == 0 and path.is_file():
            raise InputError(f"{path}: is empty; copy or download it again.")
        if not path.is_file():
            raise InputError(f"{path}: is neither a file nor a folder.")
        with path.open("rb"):
            pass  # asks for permission, since OpenCV does not say why it cannot open a file
        suffix = path.suffix.lower()
        if suffix == ".npy":
            return _open_array(path)
        return _open_still(path) if suffix in IMAGE_SUFFIXES else _open_file(path)


def cut_off(decoded: int, declared: int | None) -> str | None:
    """What to tell the user of a video that gives far fewer frames than it declares; None where it does not."""
    if declared is None or decoded >= CUT_OFF * declared:
        return None
    return (
        f"only {decoded} of the {declared} frames that it declares can be decoded, so it may be cut off or damaged; "
        "those are used"
    )


def is_image_sequence(folder: Path) -> bool:
    """Whether a folder directly holds the images of a video, two at least. Raises InputError."""
    return len(list_images(folder)) >= 2


def list_images(folder: Path) -> list[Path]:
    """The images directly in a folder, in natural order, without hidden ones. Raises InputError."""
    with reading(folder):
        return natsorted(
            sorted(  # frame1 and frame01 are equal to natsort
                entry
                for entry in folder.iterdir()
                if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
            ),
            key=lambda entry: entry.name,
        )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the system says about a read into an InputError that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        if path.is_symlink():
            raise InputError(f"{path}: is a link to {path.readlink()}, which is not there.") from error
        raise InputError(f"{path}: is not there; check the spelling.") from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read; change its permissions.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder named as a file; rename or remove it.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _open_file(path: Path) -> VideoReader:
    capture = cv2.VideoCapture(_name(path), VIDEO_BACKEND)
    if not capture.isOpened():
        raise InputError(f"{path}: is damaged or not a video that OpenCV can read; {CONVERT}.")
    height, width = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    try:
        _check_pixels(path, height, width)
    except InputError:
        capture.release()
        raise
    fps = capture.get(cv2.CAP_PROP_FPS)
    declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return VideoReader(
        path,
        "file",
        _decode(capture, path),
        int(declared) if 1 <= declared <= MAX_DECLARED_FRAMES else None,
        fps if math.isfinite(fps) and 0.1 <= fps <= 240 else None,
    )


def _name(path: Path) -> str:
    """A path as OpenCV takes it. Raises InputError for one that is not UTF-8, at which OpenCV crashes."""
    # An absolute path cannot be taken for one of FFmpeg's protocols, such as "concat:".
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: its name or a folder's is not UTF-8, so OpenCV cannot open it; rename it."
        ) from error
    return name


def _decode(capture: cv2.VideoCapture, path: Path) -> Generator[Frame, None, None]:
    size: tuple[int, ...] | None = None
    number = 0
    try:
        while True:
            decoded, frame = capture.read()
            if not decoded:
                return
            number += 1
            if size is None:
                size = frame.shape[:2]
            if frame.shape[:2] != size:
                (height, width), (first_height, first_width) = frame.shape[:2], size
                raise InputError(
                    f"{path}: changes from {first_height}x{first_width} to {height}x{width} pixels at frame {number}; "
                    f"all frames of a video must have one size, so {CONVERT}."
                )
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        capture.release()


def _check_pixels(path: Path, height: int, width: int) -> None:
    """Raises InputError for frames that would take too much memory."""
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{path}: has frames of {height}x{width} pixels, and more than {MAX_PIXELS} are not decoded; make them "
            "smaller."
        )


def _open_images(folder: Path) -> VideoReader:
    paths = list_images(folder)
    if not paths:
        raise InputError(f"{folder}: holds no images; give a video, or a folder of PNG, JPEG, TIFF or similar files.")
    return VideoReader(folder, "images", _read_images(paths), len(paths))


def _open_still(path: Path) -> VideoReader:
    pages = cv2.imcount(_name(path))
    if pages > 1:
        raise InputError(f"{path}: holds {pages} images in one file; save them as a folder of images or as an .npy.")
    return VideoReader(path, "images", _read_images([path]), 1)


def _read_images(paths: list[Path]) -> Generator[Frame, None, None]:
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
        yield image


def _read_image(path: Path) -> Frame:
    with reading(path):
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # to read a FIFO would wait for ever
            raise InputError(f"{path}: is neither a file nor a folder; remove it.")
        if status.st_size > MAX_IMAGE_BYTES:
            raise InputError(f"{path}: has {status.st_size} bytes, and more than {MAX_IMAGE_BYTES} are not decoded.")
        content = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        with silence():
            # Without alpha, turned as EXIF says, and grey or 16-bit if the file is.
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
    pixels = to_uint8(np.asarray(image), str(path))
    if pixels.ndim == 2:
        return pixels[:, :, None]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _open_array(path: Path) -> VideoReader:
    try:
        # Maps the file, refuses pickled objects, and finds a header that claims more than the file holds.
        array: NDArray[np.generic] = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # numpy reads a header as Python's literals, and lets through what that raises
        raise InputError(
            f"{path}: is damaged or not a numpy array ({error}); save it again with numpy.save."
        ) from error
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(
            f"{path}: has the shape {array.shape}; a video is (T, H, W) or (T, H, W, C) with 1, 3 or 4 channels."
        )
    _check_pixels(path, *array.shape[1:3])
    return VideoReader(path, "array", _read_array(array, path), len(array))


def _read_array(array: NDArray[np.generic], path: Path) -> Generator[Frame, None, None]:
    frames, channels = len(array), min(array.shape[3], 3)
    del array
    for first in range(0, frames, MAPPED_FRAMES):
        # Mapped anew, since what was read of a map counts as this process's memory until it is let go.
        try:
            with reading(path):
                mapped = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, EOFError) as error:
            raise InputError(f"{path}: was cut off while it was read ({error}); try again.") from error
        for number, frame in enumerate(mapped[first : first + MAPPED_FRAMES], start=first + 1):
            pixels = to_uint8(frame.reshape(*frame.shape[:2], -1)[:, :, :channels], f"{path}: frame {number}")
            yield np.array(pixels)  # a copy, so that no frame keeps the file open or is read-only
