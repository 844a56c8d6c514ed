"""HDF5 through h5py: a dataset with the attributes of its source, its coordinates as scales."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.source import Variable
from convlstm_cli.video.writers.arrangement import Arrangement
from convlstm_cli.video.writers.kept_errors import KeptErrorsOfHdf5
from convlstm_cli.video.writers.labelled import LabelledWriter

if TYPE_CHECKING:
    import h5py


class Hdf5Writer(LabelledWriter):
    """A dataset in an HDF5 file, compressed, a frame a chunk, with CF attributes (`_FillValue`, `units`)."""

    def _open(self, arrangement: Arrangement, attributes: Mapping[str, Any]) -> None:
        self._library = load_extra("h5py", "hdf5", self.path, "written")
        self._disk = KeptErrorsOfHdf5(self.cleanup.enter_context(self.partial.open("w+b")))
        self._file: h5py.File = self.cleanup.enter_context(self._library.File(self._disk, "w"))
        self._group = self._file.require_group(arrangement.group or "/")
        self._group.attrs.update(attributes)

    def _add(self, variable: Variable) -> None:
        text = variable.values.dtype.kind == "O"
        made = self._group.create_dataset(
            variable.name, data=variable.values, dtype=self._library.string_dtype() if text else None
        )
        made.attrs.update(variable.attributes)
        self._disk.check()

    def _add_frames(self, arrangement: Arrangement) -> None:
        shape = self._shape(0)
        self._frames = self._group.create_dataset(
            arrangement.name,
            shape,
            arrangement.dtype,
            maxshape=tuple(None if axis == arrangement.at else size for axis, size in enumerate(shape)),
            chunks=arrangement.shape,
            compression="gzip",
            shuffle=True,
        )
        self._frames.attrs.update(arrangement.attributes)
        if arrangement.fill is not None and not (arrangement.dtype.kind == "f" and np.isnan(arrangement.fill)):
            self._frames.attrs["_FillValue"] = arrangement.fill
        self._disk.check()

    def _put(self, key: tuple[Any, ...], stored: NDArray[Any]) -> None:
        self._frames.resize(self.steps, self.arrangement.at)
        self._frames[key] = stored
        self._file.flush()  # so that a full disk shows at the frame that does not fit
        self._disk.check()

    def _close(self) -> None:
        for axis, name in enumerate(self.arrangement.dims):
            self._frames.dims[axis].label = name
            if isinstance(scale := self._group.get(name), self._library.Dataset) and scale.ndim == 1:
                scale.make_scale(name)
                self._frames.dims[axis].attach_scale(scale)
        self._file.close()
        self._disk.flush()
        self._disk.check()
