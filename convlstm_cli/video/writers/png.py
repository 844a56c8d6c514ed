"""PNG: a folder of numbered images."""

import contextlib
from pathlib import Path

from convlstm_cli.errors import OutputError
from convlstm_cli.files import replacing, shown
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.writers.base import FrameWriter


class PngWriter(FrameWriter):
    """A folder of frame_000001.png, frame_000002.png and so on, or of images with the names that are given; exact."""

    types = frozenset({"uint8", "uint16"})

    def _begin(self) -> None:
        if self.path.is_dir() and any(self.path.glob("*.png" if self.names else "frame_*.png")):
            raise OutputError(f"{self.path}: holds frames already; remove them or choose another -o.")
        self._made = not self.path.exists()
        self.cleanup.push(self._remove_after_failure)

    def _write(self, frame: Frame) -> None:
        pixels = frame if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        # Not imwrite, which returns the same False for a full disk and for a folder that is read-only.
        encoded, content = cv2.imencode(".png", pixels)
        if not encoded:
            raise OutputError(f"{shown(self.path)}: OpenCV cannot encode PNG here; choose --format npy.")
        with replacing(self._file(self.frames)) as partial:
            partial.write_bytes(content.tobytes())

    def _finish(self) -> None:
        """Does nothing: each frame is a whole file once it is written."""

    def _remove_after_failure(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            for number in range(1, self.frames + 1):
                with contextlib.suppress(OSError):  # the failure that is being raised says more
                    self._file(number).unlink()
            if self._made:
                with contextlib.suppress(OSError):
                    self.path.rmdir()

    def _file(self, number: int) -> Path:
        name = f"frame_{number:06d}" if self.names is None else self.names[number - 1]
        return self.path / f"{name}.png"
