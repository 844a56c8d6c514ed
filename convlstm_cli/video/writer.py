"""Frames to PNG, WebM, MP4, GIF, lossless video and numpy arrays; one small writer for each.

Files are whole or not there: they are written beside and renamed over. Videos are read back before that.
"""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import GifImagePlugin, Image

from convlstm_cli.errors import OutputError, UsageError
from convlstm_cli.files import replacing, shown, writing
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.matroska import settle_ids
from convlstm_cli.video.opencv import cv2, silence

ROOM = 65536
"""Bytes that there has to be room for after a video, or its end may be missing."""


class FrameWriter(ABC):
    """Writes frames of one size and one number of channels, in order."""

    suffix: ClassVar[str]
    """Of the file, with its dot; empty for a folder."""

    def __init__(self, path: Path, partial: Path, fps: float, cleanup: contextlib.ExitStack) -> None:
        self.path = path
        """What is being written, for messages."""
        self.partial = partial
        """Where it is written until it is whole."""
        self.fps = fps
        self.cleanup = cleanup
        """Closed after the last frame or a failure."""
        self.shape: tuple[int, ...] = ()
        """(H, W, C) of the frames; empty before the first."""
        self.frames = 0
        """Frames written so far."""

    def write(self, frame: Frame) -> None:
        """Adds a frame, (H, W, C) uint8.

        Raises OutputError for another type, for another shape than the first frame's, and where the file
        cannot be written.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] not in (1, 3) or 0 in frame.shape:
            raise OutputError(
                f"{self.path}: got a frame of {frame.dtype} {frame.shape}; frames are uint8 (H, W, 1 or 3)."
            )
        with writing(self.path):  # here, because the block of `open_writer` may hold the writers of other files
            if not self.frames:
                self.shape = frame.shape
                self._begin()
            elif frame.shape != self.shape:
                raise OutputError(
                    f"{self.path}: got a frame {frame.shape} after frames {self.shape}; all must be alike."
                )
            self.frames += 1
            self._write(frame)

    def finish(self) -> None:
        """Completes the file. Raises OutputError if there was no frame or the file is not good."""
        if not self.frames:
            raise OutputError(f"{self.path}: was to be written without a single frame.")
        self._finish()

    @abstractmethod
    def _begin(self) -> None:
        """Prepares for frames of `shape`."""

    @abstractmethod
    def _write(self, frame: Frame) -> None:
        """Writes one frame, which `frames` counts already."""

    @abstractmethod
    def _finish(self) -> None:
        """Writes what follows the last frame."""


class PngWriter(FrameWriter):
    """A folder of frame_000001.png, frame_000002.png and so on; exact."""

    suffix = ""

    def _begin(self) -> None:
        if self.path.is_dir() and any(self.path.glob("frame_*.png")):
            raise OutputError(f"{self.path}: holds frames already; remove them or choose another -o.")
        self._made = not self.path.exists()
        self.cleanup.push(self._remove_after_failure)

    def _write(self, frame: Frame) -> None:
        pixels = frame if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        # Not imwrite, which gives the same False for a full disk and for a folder that is read-only.
        encoded, content = cv2.imencode(".png", pixels)
        if not encoded:
            raise OutputError(f"{shown(self.path)}: OpenCV cannot encode PNG here; choose --format npy.")
        with replacing(self._file(self.frames)) as partial:
            partial.write_bytes(content.tobytes())

    def _finish(self) -> None:
        """Every frame is a whole file by now."""

    def _remove_after_failure(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            for number in range(1, self.frames + 1):
                with contextlib.suppress(OSError):  # the failure that is on its way says more
                    self._file(number).unlink()
            if self._made:
                with contextlib.suppress(OSError):
                    self.path.rmdir()

    def _file(self, number: int) -> Path:
        return self.path / f"frame_{number:06d}.png"


class _VideoWriter(FrameWriter):
    """A video through OpenCV's FFmpeg.

    Frames of odd height or width gain a copy of their last row or column: OpenCV drops it otherwise, without
    a word and for every codec.
    """

    codec: ClassVar[str]
    matroska: ClassVar[bool]
    """Whether the container is WebM or Matroska."""

    def _begin(self) -> None:
        self._padding = [(0, side % 2) for side in self.shape[:2]] + [(0, 0)]
        self._height, self._width = (side + side % 2 for side in self.shape[:2])
        with silence():  # WebM has no table of codec tags, which OpenCV remarks on before it goes on
            self._video = cv2.VideoWriter(
                str(self.partial.absolute()),
                cv2.CAP_FFMPEG,
                cv2.VideoWriter.fourcc(*self.codec),
                self.fps,
                (self._width, self._height),
            )
        self.cleanup.callback(self._video.release)
        if not self._video.isOpened():
            raise OutputError(
                f"{shown(self.path)}: OpenCV cannot write {self.codec} video of {self._height}x{self._width} pixels at "
                f"{self.fps:g} frames per second here; choose --format png."
            )

    def _write(self, frame: Frame) -> None:
        even = np.pad(to_channels(frame, 3), self._padding, mode="edge")
        self._video.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))

    def _finish(self) -> None:
        """Closes the video and sees that it is whole; equal frames give equal bytes."""
        self._video.release()
        if hasattr(os, "posix_fallocate"):
            with self.partial.open("rb+") as file:  # all frames are read back also where the index after them was cut
                end = file.seek(0, os.SEEK_END)
                os.posix_fallocate(file.fileno(), end, ROOM)
                file.truncate(end)
        self._read_back()
        if self.matroska:
            settle_ids(self.partial)

    def _read_back(self) -> None:
        """Raises OutputError for a video that lacks frames, since OpenCV reports no write that failed."""
        capture = cv2.VideoCapture(str(self.partial.absolute()))
        self.cleanup.callback(capture.release)
        frames = 0
        while capture.grab():
            frames += 1
        size = capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        capture.release()
        if frames != self.frames or size != (self._height, self._width):
            raise OutputError(
                f"{shown(self.path)}: only {frames} of {self.frames} frames can be read back; check that the disk "
                "is not full, or choose --format png."
            )


class WebmWriter(_VideoWriter):
    """VP9 in WebM, which every browser plays."""

    suffix = ".webm"
    codec = "VP90"
    matroska = True


class Mp4Writer(_VideoWriter):
    """VP9 in MP4, which browsers play; they do not play the MPEG-4 Part 2 that is OpenCV's mp4v."""

    suffix = ".mp4"
    codec = "vp09"
    matroska = False


class LosslessWriter(_VideoWriter):
    """FFV1 in Matroska, exact to the bit."""

    suffix = ".mkv"
    codec = "FFV1"
    matroska = True


class GifWriter(FrameWriter):
    """An endless GIF: exact in grey, a palette of 256 colours for each frame in colour.

    Written frame by frame, since Pillow's Image.save would hold them all and merge equal neighbours. A GIF
    counts time in hundredths of a second, and viewers slow down what takes less than two of them.
    """

    suffix = ".gif"

    def _begin(self) -> None:
        self._duration = 10 * min(max(2, round(100 / self.fps)), 65535)  # milliseconds
        self._file = self.cleanup.enter_context(self.partial.open("wb"))

    def _write(self, frame: Frame) -> None:
        if frame.shape[2] == 1:
            image = Image.fromarray(frame[:, :, 0])
        else:
            image = Image.fromarray(frame).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        if self.frames == 1:
            header, _ = GifImagePlugin.getheader(image, info={"loop": 0})
            self._file.writelines(header)
        self._file.writelines(GifImagePlugin.getdata(image, duration=self._duration, include_color_table=True))

    def _finish(self) -> None:
        self._file.write(b";")
        self._file.close()


class NpyWriter(FrameWriter):
    """A numpy array of uint8, (T, H, W) for grey and (T, H, W, 3) for colour; exact."""

    suffix = ".npy"

    def _begin(self) -> None:
        self._file = self.cleanup.enter_context(self.partial.open("wb"))
        self._write_header()

    def _write(self, frame: Frame) -> None:
        self._file.write(frame.tobytes())

    def _finish(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        # As long for every number of frames: numpy leaves room in it for the first axis to grow.
        height, width, channels = self.shape
        shape = (self.frames, height, width) if channels == 1 else (self.frames, height, width, channels)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


_WRITERS: dict[str, type[FrameWriter]] = {
    "png": PngWriter,
    "webm": WebmWriter,
    "mp4": Mp4Writer,
    "gif": GifWriter,
    "lossless": LosslessWriter,
    "npy": NpyWriter,
}

FORMATS = {name: writer.suffix for name, writer in _WRITERS.items()}
"""The suffix of each format's file, with its dot; empty for png, which is a folder."""


@contextlib.contextmanager
def open_writer(path: Path, format: str, fps: float) -> Iterator[FrameWriter]:  # noqa: A002
    """Gives a writer of frames to `path`, in one of FORMATS, which is complete when the block ends well.

    `fps` is frames per second; png and npy have no place for it. On any exception an older file is as it was
    and nothing of the new one is left.

    Raises:
        UsageError: an unknown format.
        OutputError: no frame, a frame unlike the first, or a file that cannot be written or read back.
    """
    if format not in _WRITERS:
        raise UsageError(f"--format is {format!r}; choose one of {', '.join(FORMATS)}.")
    with contextlib.ExitStack() as stack:
        # A folder of PNG is no file to rename; its writer cleans up after itself.
        partial = stack.enter_context(replacing(path)) if FORMATS[format] else path
        cleanup = stack.enter_context(contextlib.ExitStack())
        writer = _WRITERS[format](path, partial, fps, cleanup)
        yield writer
        writer.finish()
