"""Videos through PyAV's FFmpeg: VP9 in WebM, H.264 in MP4, and FFV1 in Matroska.

Equal frames give equal bytes, whatever the machine's number of cores: FFmpeg leaves out what it draws at random
("bitexact"), and each encoder works in one thread, since some of them give other bytes for another number of threads.
"""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from convlstm_cli.errors import OutputError
from convlstm_cli.files import shown
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.pyav import av
from convlstm_cli.video.writers.base import FrameWriter
from convlstm_cli.video.writers.kept_errors import KeptErrors

BT601, BT709 = 6, 1
"""ITU-T H.273: the matrix of BT.601 (SMPTE 170M), and the primaries and the transfer function of BT.709."""


class PyAVWriter(FrameWriter):
    """A video through PyAV's FFmpeg."""

    container: ClassVar[str]
    codec: ClassVar[str]
    """Both as FFmpeg names them."""
    options: ClassVar[dict[str, str]]
    """The encoder's settings."""
    even: ClassVar[bool] = True
    """Whether frames of odd height or width gain a copy of their last row or column. 4:2:0 chroma has half the rows and
    columns; H.264 refuses odd sides, and libvpx gives grey frames of odd sides some colour at their edges."""

    def _begin(self) -> None:
        height, width = (side + side % 2 if self.even else side for side in self.shape[:2])
        self._padding = [(0, height - self.shape[0]), (0, width - self.shape[1]), (0, 0)]
        self._file = KeptErrors(self.cleanup.enter_context(self.partial.open("wb")))
        with self._refusing():
            rate = exact_rate(self.fps)
            self._container = av.open(self._file, "w", format=self.container, options={"fflags": "+bitexact"})
            self.cleanup.push(self._close_after_failure)
            options = {"flags": "+bitexact", **self.options}
            stream: Any = self._container.add_stream(self.codec, rate=rate, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, self._pixel_format()
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = 1 / rate
            self._tag(stream.codec_context)
        self._stream = stream

    def _write(self, frame: Frame) -> None:
        pixels = np.pad(frame, self._padding, mode="edge")
        grey = frame.shape[2] == 1
        with self._refusing():
            picture = av.VideoFrame.from_ndarray(pixels[:, :, 0] if grey else pixels, "gray" if grey else "rgb24")
            picture = self._convert(picture)
            picture.pts, picture.time_base = self.frames - 1, self._stream.codec_context.time_base
            self._container.mux(self._stream.encode(picture))
        self._file.check()

    def _finish(self) -> None:
        with self._refusing():
            self._container.mux(self._stream.encode(None))
            self._container.close()
        self._file.check()
        self._file.close()

    def _pixel_format(self) -> str:
        return "yuv420p"

    def _tag(self, context: Any) -> None:
        """Declares the colours of the file, so that players need not guess them from the size.

        The matrix is that of BT.601, because OpenCV 4 decodes every video with it. Primaries and transfer function are
        those of most sources, so that players show a forecast as they show its source.
        """
        context.colorspace, context.color_primaries, context.color_trc = BT601, BT709, BT709
        context.color_range = int(av.video.reformatter.ColorRange.MPEG)

    def _convert(self, picture: "av.VideoFrame") -> "av.VideoFrame":
        return picture.reformat(
            format=self._pixel_format(), dst_colorspace="ITU601", src_color_range="JPEG", dst_color_range="MPEG"
        )

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, ValueError, OverflowError) as error:
            height, width = self.shape[:2]
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{shown(self.path)}: PyAV cannot write {self.codec} video of {height}x{width} pixels at "
                f"{self.fps:g} frames per second here ({reason}); choose --format png."
            ) from error

    def _close_after_failure(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            with contextlib.suppress(ValueError, av.FFmpegError):  # the failure that is being raised says more
                self._container.close()


class WebmWriter(PyAVWriter):
    """VP9 in WebM, which every browser plays."""

    is_preview = True
    container = "webm"
    codec = "libvpx-vp9"
    # Constant quality (no bit rate). The deadline "good" halves large files and takes up to three times as long.
    options: ClassVar = {"crf": "16", "b": "0", "deadline": "realtime", "cpu-used": "5"}


class Mp4Writer(PyAVWriter):
    """H.264 in MP4, which every browser and player plays."""

    is_preview = True
    container = "mp4"
    codec = "libx264"
    # B-frames would need an edit list, and x264 then reads memory that it never wrote (its macroblock tree, on
    # processors with AVX-512), so that equal frames give other bytes.
    options: ClassVar = {"crf": "16", "bf": "0"}


class LosslessWriter(PyAVWriter):
    """FFV1 in Matroska, exact to the bit: grey as grey, colour as RGB."""

    container = "matroska"
    codec = "ffv1"
    options: ClassVar = {}
    even = False

    def _pixel_format(self) -> str:
        return "gray" if self.shape[2] == 1 else "bgr0"

    def _tag(self, context: Any) -> None:
        context.color_range = int(av.video.reformatter.ColorRange.JPEG)

    def _convert(self, picture: "av.VideoFrame") -> "av.VideoFrame":
        return picture.reformat(format=self._pixel_format())


def exact_rate(fps: float) -> Fraction:
    """The fraction that a rate in frames per second stands for, such as 30000/1001 for 29.97002997; positive."""
    if fps < 1:
        return 1 / Fraction(1 / fps).limit_denominator(1001)
    return Fraction(fps).limit_denominator(1001)
