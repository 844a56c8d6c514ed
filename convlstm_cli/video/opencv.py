"""The one place that imports OpenCV, and keeps it from writing to the user's terminal."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from convlstm_cli.errors import DependencyError

MAX_PIXELS = 2**27
"""Most pixels of a frame. A header can claim any number, and a decoder allocates what it claims."""

# Read by OpenCV when it loads or opens a video. A user who looks for the reason of a decoding error can still set them.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

try:
    import cv2
except ImportError as error:
    raise DependencyError(
        f"OpenCV does not load ({error}). On Debian or Ubuntu run `apt-get install libgl1`, or use the build that "
        "needs no display: `pip uninstall -y opencv-python && pip install opencv-python-headless`."
    ) from error

__all__ = ["MAX_PIXELS", "VIDEO_BACKEND", "cv2", "silence"]

VIDEO_BACKEND = cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in cv2.videoio_registry.getStreamBackends() else cv2.CAP_ANY
"""What reads videos. Others would take clip1.mp4 for the first of a sequence of images, and read clip2.mp4 too."""


_silencing = threading.RLock()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Discards what C code writes to standard error inside the block.

    OpenCV and libjpeg report some conditions with a bare fprintf that no log level reaches. The redirection
    holds for the whole process, so keep the block to a single call; other threads' blocks wait for its end.
    """
    with _silencing:  # two redirections that overlap would leave standard error with the one that began later
        sys.stderr.flush()
        saved = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(null)
