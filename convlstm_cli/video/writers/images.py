"""What the writers of a folder of images, one for each frame, have in common."""

import contextlib
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from convlstm_cli.errors import OutputError
from convlstm_cli.files import replacing
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.writers.base import FrameWriter


class ImagesWriter(FrameWriter):
    """A folder of frame_000001.png, frame_000002.png and so on, or of images with the names that are given."""

    suffix: ClassVar[str]
    """Of the images, with its dot."""

    def _begin(self) -> None:
        pattern = f"*{self.suffix}" if self.names else f"frame_*{self.suffix}"
        if self.path.is_dir() and any(self.path.glob(pattern)):
            raise OutputError(f"{self.path}: holds frames already; remove them or choose another -o.")
        self._made = not self.path.exists()
        self.cleanup.push(self._remove_after_failure)

    def _write(self, frame: Frame) -> None:
        with replacing(self._file(self.frames)) as partial:
            partial.write_bytes(self._encoded(frame))

    def _finish(self) -> None:
        """Does nothing: each frame is a whole file once it is written."""

    @abstractmethod
    def _encoded(self, frame: Frame) -> bytes:
        """The content of an image file."""

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
        return self.path / f"{name}{self.suffix}"
