"""Video files, decoded by OpenCV's FFmpeg."""

import math
from collections.abc import Generator
from pathlib import Path

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import GREY_TOLERANCE
from convlstm_cli.video.opencv import VIDEO_BACKEND, cv2
from convlstm_cli.video.readers.base import CONVERT, Reader, TimedFrame, VideoReader, check_pixels, opencv_name

# fmt: off
SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts", ".m4v", ".mjpeg", ".mjpg",
    ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on
MAX_DECLARED_FRAMES = 10**8
SLOWEST, FASTEST = 0.1, 240.0
"""Frames per second outside these are what OpenCV reports when it does not know the rate."""


def open_file(path: Path) -> VideoReader:
    """Opens a file of any container that OpenCV decodes. Raises InputError."""
    capture = cv2.VideoCapture(opencv_name(path), VIDEO_BACKEND)
    if not capture.isOpened():
        raise InputError(f"{path}: is damaged or not a video that OpenCV can read; {CONVERT}.")
    height, width = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    try:
        check_pixels(path, height, width)
    except InputError:
        capture.release()
        raise
    fps = capture.get(cv2.CAP_PROP_FPS)
    declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return VideoReader(
        path,
        READER.name,
        _decode(capture, path),
        int(declared) if 1 <= declared <= MAX_DECLARED_FRAMES else None,
        fps if math.isfinite(fps) and SLOWEST <= fps <= FASTEST else None,
        GREY_TOLERANCE,
    )


READER = Reader("file", "video files of any container that OpenCV decodes", SUFFIXES, open_file)


def _decode(capture: cv2.VideoCapture, path: Path) -> Generator[TimedFrame, None, None]:
    size: tuple[int, ...] | None = None
    number, first = 0, 0.0
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
            milliseconds = capture.get(cv2.CAP_PROP_POS_MSEC)
            first = milliseconds if number == 1 else first
            pixels = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            yield TimedFrame(pixels, (milliseconds - first) / 1000)
    finally:
        capture.release()
