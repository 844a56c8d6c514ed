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
    """A numpy array of the source's type, (T, H, W) for one channel and (T, H, W, C) for more; exact.

    The members of a forecast are a first axis more.
    """

    types = TYPES
    any_channels = True

    def _begin(self) -> None:
        self._file = self.cleanup.enter_context(self.partial.open("wb"))
        self._stored, self._packing = storage(self.placement, self.dtype, {}, scaled=False)
        members = self.placement.members
        planned = (self.placement.frames or 0) * members if members else 0
        self._file.write(header(planned, self.shape, self._stored, members))

    def _write(self, frame: Frame) -> None:
        self._file.write(self._packing.to_stored(frame, self._stored).tobytes())

    def _finish(self) -> None:
        self._file.seek(0)
        self._file.write(header(self.frames, self.shape, self._stored, self.placement.members))
        self._file.close()


def header(frames: int, shape: Sequence[int], dtype: np.dtype[Any], members: int | None = None) -> bytes:
    """What stands before the values of so many frames (H, W, C) in an .npy file, of one length for every number.

    Those of `members` are the frames of so many forecasts, one after another. numpy leaves room in it for the first
    axis to grow, so with members it is that of their number of frames.
    """
    height, width, channels = shape
    leading = (frames,) if members is None else (members, frames // members)
    all_frames = (*leading, height, width) if channels == 1 else (*leading, height, width, channels)
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": all_frames}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, content)
    return file.getvalue()
