"""NumPy arrays in an archive: the frames, their times and their unit."""

import shutil
import tempfile
import zipfile
from datetime import datetime, timedelta
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.values import TYPES
from convlstm_cli.video.writers.arrangement import NAME, storage
from convlstm_cli.video.writers.base import FrameWriter
from convlstm_cli.video.writers.npy import header

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of each member, so that equal frames give equal bytes."""


class NpzWriter(FrameWriter):
    """An .npz file, not compressed, so that it can be mapped into memory.

    It holds the frames as an .npy file has them, under the source's own name; `time`, as datetime64 in microseconds or
    as seconds from the source's first frame; and `unit`, a text. The last two are left out where they are not known.
    """

    types = TYPES
    any_channels = True

    def _begin(self) -> None:
        self._stored, self._packing = storage(self.placement, self.dtype, {}, scaled=False)
        # A member begins with the number of frames, which is known at the end.
        spool = tempfile.TemporaryFile(dir=self.partial.parent)  # noqa: SIM115 - open until the last frame
        self._spool: IO[bytes] = self.cleanup.enter_context(spool)

    def _write(self, frame: Frame) -> None:
        self._spool.write(self._packing.to_stored(frame, self._stored).tobytes())

    def _finish(self) -> None:
        name = self.placement.source.name.replace("/", "_") or NAME
        with zipfile.ZipFile(self.partial, "w", zipfile.ZIP_STORED) as archive:
            with archive.open(zipfile.ZipInfo(f"{name}.npy", EPOCH), "w", force_zip64=True) as member:
                member.write(header(self.frames, self.shape, self._stored, self.placement.members))
                self._spool.seek(0)
                shutil.copyfileobj(self._spool, member, 2**20)
            for beside, values in self._beside().items():
                with archive.open(zipfile.ZipInfo(f"{beside}.npy", EPOCH), "w") as member:
                    np.lib.format.write_array(member, values, allow_pickle=False)

    def _beside(self) -> dict[str, NDArray[Any]]:
        placement, found = self.placement, {}
        steps = placement.steps(self.frames)
        if placement.seconds is not None and len(placement.seconds) >= steps:
            found["time"] = _times(placement.seconds[:steps], placement.start)
        if placement.unit:
            found["unit"] = np.array(placement.unit)
        return found


def _times(seconds: tuple[float, ...], start: datetime | None) -> NDArray[Any]:
    if start is None:
        return np.array(seconds)
    begin = start.replace(tzinfo=None)
    return np.array([begin + timedelta(seconds=each) for each in seconds], "datetime64[us]")
