"""NumPy arrays, frame by frame."""

import numpy as np

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.values import TYPES
from convlstm_cli.video.writers.base import FrameWriter


class NpyWriter(FrameWriter):
    """A numpy array of the frames' type, (T, H, W) for one channel and (T, H, W, C) for more; exact."""

    types = TYPES
    any_channels = True

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
        # Of one length for every number of frames: numpy leaves room in the header for the first axis to grow.
        height, width, channels = self.shape
        shape = (self.frames, height, width) if channels == 1 else (self.frames, height, width, channels)
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(self.dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
