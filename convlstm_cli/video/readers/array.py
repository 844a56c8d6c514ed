"""NumPy arrays on disk."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import to_uint8
from convlstm_cli.video.readers.base import Reader, TimedFrame, VideoReader, check_pixels, reading

MAPPED_FRAMES = 16
"""Frames of an array that are mapped into memory at a time."""


def open_array(path: Path) -> VideoReader:
    """Opens an .npy file of the shape (T, H, W) or (T, H, W, C) with C = 1, 3 or 4. Raises InputError."""
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
    check_pixels(path, *array.shape[1:3])
    return VideoReader(path, READER.name, _read(array, path), len(array))


READER = Reader("array", "NumPy arrays", frozenset({".npy"}), open_array, is_film=False)


def _read(array: NDArray[np.generic], path: Path) -> Generator[TimedFrame, None, None]:
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
            yield TimedFrame(np.array(pixels))  # a copy, so that no frame keeps the file open or is read-only
