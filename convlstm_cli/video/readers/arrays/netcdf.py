"""NetCDF files of versions 3 and 4 through netCDF4: variables with named dimensions, times by their coordinates."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.readers.arrays.labelled import Labelled, labelled_array, measured_first
from convlstm_cli.video.readers.arrays.npy import NUMBERS
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Stored
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.source import SourceFacts

if TYPE_CHECKING:
    import netCDF4


class NetcdfFile:
    """A NetCDF file; a variable of a group has the name GROUP/VARIABLE."""

    def __init__(self, path: Path, source: Path) -> None:
        """`source` is the file that messages name. Raises InputError, or DependencyError without netCDF4."""
        library = load_extra("netCDF4", "netcdf", source)
        self._source = source
        with reading(source), path.open("rb"):
            pass  # asks for permission, since netCDF4 does not say why it cannot open a file
        try:
            self._file: netCDF4.Dataset = library.Dataset(str(path.absolute()), "r")
            self._file.set_auto_maskandscale(False)
            self._all = dict(_variables(self._file, ""))
            self._variables = {name: each for name, each in self._all.items() if _is_numbers(each)}
        except (OSError, RuntimeError, ValueError, AttributeError, UnicodeError) as error:
            raise InputError(
                f"{source}: is cut off, damaged or not a NetCDF file ({error}); copy or download it again."
            ) from error
        # Version 3 gives zeros for what is missing at the end of a file.
        is_old = self._file.data_model.startswith("NETCDF3")
        variables = self._file.variables.values() if is_old else ()
        held = sum(int(each.size) * each.dtype.itemsize for each in variables if _is_numbers(each))
        if held > path.stat().st_size:
            self._file.close()
            raise InputError(f"{source}: is cut off: its variables have {held} bytes; copy or download it again.")
        self._fills: Mapping[str, Any] = library.default_fillvals

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each variable of numbers with rows and columns, measured ones first."""
        fitting = (name for name, variable in self._variables.items() if variable.ndim >= 2 and variable.size)
        kinds = {name: (self._variables[name].dtype, self._attributes(name)) for name in fitting}
        return {name: tuple(self._variables[name].shape) for name in measured_first(kinds)}

    def stored(self, name: str) -> Stored:
        """One of the variables."""
        chunks = self._variables[name].chunking() if self._file.data_model.startswith("NETCDF4") else None
        array = self._labelled(name)
        return labelled_array(
            array,
            self._beside(name),
            f"{self._source}: {name}",
            self._facts(name),
            chunk=tuple(chunks) if isinstance(chunks, list) else None,
            close=self._file.close,
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _facts(self, name: str) -> SourceFacts:
        group: Any = self._file[name.rpartition("/")[0]] if "/" in name else self._file
        attributes = {key: group.getncattr(key) for key in group.ncattrs()}
        return SourceFacts("netcdf", name, file_attributes=attributes)

    def _beside(self, name: str) -> dict[str, Labelled]:
        """The variables that one can name: those of its group come before those of the groups around it."""
        parts = name.split("/")
        found: dict[str, Labelled] = {}
        for depth in range(len(parts)):
            group = "".join(f"{part}/" for part in parts[:depth])
            for each in self._all:
                if each.rpartition("/")[0] == group.rstrip("/"):
                    found[each.rpartition("/")[2]] = self._labelled(each)
        return found

    def _labelled(self, name: str) -> Labelled:
        variable = self._all[name]
        dtype = variable.dtype if isinstance(variable.dtype, np.dtype) else np.dtype(object)  # of texts
        return Labelled(
            tuple(variable.dimensions),
            tuple(variable.shape),
            dtype,
            lambda key: np.asarray(variable[key]),
            self._attributes(name),
            self._fills[dtype.str[1:]] if dtype.kind == "f" else None,
        )

    def _attributes(self, name: str) -> dict[str, Any]:
        variable = self._all[name]
        return {key: variable.getncattr(key) for key in variable.ncattrs()}


def _variables(group: Any, inside: str) -> Iterator[tuple[str, Any]]:
    """The variables of a group and of those in it, with their names."""
    for name, variable in group.variables.items():
        yield f"{inside}{name}", variable
    for name, each in group.groups.items():
        yield from _variables(each, f"{inside}{name}/")


def _is_numbers(variable: Any) -> bool:
    return isinstance(variable.dtype, np.dtype) and variable.dtype.kind in NUMBERS


READER = array_reader("netcdf", "NetCDF files", frozenset({".nc", ".nc4", ".cdf"}), NetcdfFile)
