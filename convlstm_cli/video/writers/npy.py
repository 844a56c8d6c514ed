"""NumPy arrays, frame by frame."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.values import TYPES
from convlstm_cli.video.writers.arrangement import storage
from convlstm_cli.video.writers.base import FrameWriter


class NpyWriter(FrameWriter):
    """A numpy array of the source's type, (T, H, W) for one channel and (T, H, W, C) for more; exact."""

    types = TYPES
    any_channels = True

    def _begin(self) -> None:
        self._file = self.cleanup.enter_context(self.partial.open("wb"))
        self._stored, self._packing = storage(self.placement, self.dtype, {}, scaled=False)
        self._file.write(header(0, self.shape, self._stored))

    def _write(self, frame: Frame) -> None:
        self._file.write(self._packing.to_stored(frame, self._stored).tobytes())

    def _finish(self) -> None:
        self._file.seek(0)
        self._file.write(header(self.frames, self.shape, self._stored))
        self._file.close()


def header(frames: int, shape: Sequence[int], dtype: np.dtype[Any]) -> bytes:
    """What stands before the values of so many frames (H, W, C) in an .npy file, of one length for every number.

    numpy leaves room in it for the first axis to grow.
    """
    height, width, channels = shape
    all_frames = (frames, height, width) if channels == 1 else (frames, height, width, channels)
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": all_frames}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, content)
    return file.getvalue()
