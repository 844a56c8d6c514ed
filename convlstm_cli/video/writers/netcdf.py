"""NetCDF-4 through netCDF4, by the CF conventions."""

import contextlib
import errno
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import OutputError
from convlstm_cli.files import locked_by_its_writer, shown
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.source import Variable
from convlstm_cli.video.writers.arrangement import Arrangement
from convlstm_cli.video.writers.labelled import LabelledWriter

if TYPE_CHECKING:
    import netCDF4


class NetcdfWriter(LabelledWriter):
    """A variable in a NetCDF-4 file, compressed, a frame a chunk."""

    stand_ins: ClassVar = {"bool": "int8", "float16": "float32"}

    def _open(self, arrangement: Arrangement, attributes: Mapping[str, Any]) -> None:
        library = load_extra("netCDF4", "netcdf", self.path, "written")
        with self._refusing():
            inner = self.cleanup.enter_context(locked_by_its_writer(self.partial))
            self._file: netCDF4.Dataset = library.Dataset(str(inner.absolute()), "w")
            self.cleanup.push(self._close_after_failure)
            group: Any = self._file.createGroup(arrangement.group) if arrangement.group else self._file
            self._group = group
            group.setncatts({"Conventions": "CF-1.11"} | _texts(attributes))
            shape = self._shape(0)
            for name, size, letter in zip(arrangement.dims, shape, arrangement.axes, strict=True):
                group.createDimension(name, None if letter == "T" else size)

    def _add(self, variable: Variable) -> None:
        with self._refusing():
            for name, size in zip(variable.dims, variable.values.shape, strict=True):
                if name not in self._group.dimensions:
                    self._group.createDimension(name, size)
            attributes = dict(variable.attributes)
            kind: Any = str if variable.values.dtype.kind == "O" else variable.values.dtype
            fill = attributes.pop("_FillValue", False)
            made = self._group.createVariable(variable.name, kind, variable.dims, fill_value=fill)
            made.setncatts(_texts(attributes))
            made.set_auto_maskandscale(False)
            made[...] = variable.values

    def _add_frames(self, arrangement: Arrangement) -> None:
        with self._refusing():
            self._frames = self._group.createVariable(
                arrangement.name,
                arrangement.dtype,
                arrangement.dims,
                zlib=True,
                complevel=4,
                shuffle=True,
                chunksizes=arrangement.shape,
                chunk_cache=self._bytes(arrangement),  # which would grow to 64 MB otherwise
                fill_value=False if arrangement.fill is None else arrangement.fill,
            )
            self._frames.setncatts(_texts(arrangement.attributes))
            self._frames.set_auto_maskandscale(False)

    @staticmethod
    def _bytes(arrangement: Arrangement) -> int:
        return int(np.prod(arrangement.shape)) * arrangement.dtype.itemsize

    def _put(self, key: tuple[Any, ...], stored: NDArray[Any]) -> None:
        with self._refusing():
            self._frames[key] = stored

    def _close(self) -> None:
        with self._refusing():
            self._file.close()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # netCDF4 does not say what the system said
            raise OSError(errno.EIO, str(error)) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise OutputError(
                f"{shown(self.path)}: netCDF4 refuses what the source has ({error}); choose --format npz."
            ) from error

    def _close_after_failure(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None and self._file.isopen():
            with contextlib.suppress(RuntimeError):  # the failure that is being raised says more
                self._file.close()


def _texts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as NetCDF holds them: it has no bool."""
    return {key: np.int8(value) if isinstance(value, bool | np.bool_) else value for key, value in attributes.items()}
