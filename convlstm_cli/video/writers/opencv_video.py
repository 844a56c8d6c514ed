"""Videos through OpenCV's FFmpeg: VP9 in WebM and in MP4, and FFV1 in Matroska."""

import os
from typing import ClassVar

import numpy as np

from convlstm_cli.errors import OutputError
from convlstm_cli.files import shown
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.matroska import settle_ids
from convlstm_cli.video.opencv import cv2, silence
from convlstm_cli.video.writers.base import FrameWriter

ROOM = 65536
"""Bytes that must be free after a video is written, or its end may be missing."""


class OpenCVVideoWriter(FrameWriter):
    """A video through OpenCV's FFmpeg.

    Frames of odd height or width gain a copy of their last row or column, since OpenCV drops that row or column
    silently, for every codec.
    """

    codec: ClassVar[str]
    """Four characters, as OpenCV names codecs."""
    matroska: ClassVar[bool]
    """Whether the container is WebM or Matroska."""

    def _begin(self) -> None:
        self._padding = [(0, side % 2) for side in self.shape[:2]] + [(0, 0)]
        self._height, self._width = (side + side % 2 for side in self.shape[:2])
        with silence():  # OpenCV warns that WebM has no table of codec tags, and writes it all the same
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
        """Closes the video and checks that it is whole; equal frames give equal bytes."""
        self._video.release()
        if hasattr(os, "posix_fallocate"):
            # All frames of a video can be read back even where the index behind them was cut off.
            with self.partial.open("rb+") as file:
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


class WebmWriter(OpenCVVideoWriter):
    """VP9 in WebM, which every browser plays."""

    codec = "VP90"
    matroska = True


class Mp4Writer(OpenCVVideoWriter):
    """VP9 in MP4, which browsers play; they do not play OpenCV's mp4v, which is MPEG-4 Part 2."""

    codec = "vp09"
    matroska = False


class LosslessWriter(OpenCVVideoWriter):
    """FFV1 in Matroska, exact to the bit."""

    codec = "FFV1"
    matroska = True
