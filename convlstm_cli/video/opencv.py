"""The one place that imports OpenCV, and keeps it from writing to the user's terminal."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from convlstm_cli.errors import DependencyError

# Read once, when OpenCV loads. A user who looks for the reason of a decoding error can still set them.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

try:
    import cv2
except ImportError as error:
    raise DependencyError(
        f"OpenCV does not load ({error}). On Debian or Ubuntu run `apt-get install libgl1`, or use the build that "
        "needs no display: `pip uninstall -y opencv-python && pip install opencv-python-headless`."
    ) from error

__all__ = ["cv2", "silence"]

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
