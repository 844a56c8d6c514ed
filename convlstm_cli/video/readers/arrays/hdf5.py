"""HDF5 files through h5py: any dataset, and the conventions of radar services for scale, offset and missing values."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.packing import Packing, cf_packing, checked_scale, numbers, text
from convlstm_cli.video.readers.arrays.clock import Clock, clock_of, unit_seconds
from convlstm_cli.video.readers.arrays.labelled import measured_first
from convlstm_cli.video.readers.arrays.layout import NAMES
from convlstm_cli.video.readers.arrays.npy import NUMBERS
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Key, Stored, Values
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.source import SourceFacts, TimeAxis, Variable, stored_as

if TYPE_CHECKING:
    import h5py

SCALES = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid")
"""Attributes in which HDF5 and NetCDF keep which scale belongs to which axis."""
_DIGITS = re.compile(r"\d+")
_FORMULA = re.compile(r"GEO\s*=\s*(?P<scale>[-+.\deE]+)\s*\*\s*PV\s*(?P<offset>[-+]\s*[.\deE+-]+)?")
"""How KNMI writes the scale and offset of an image."""
_UNIT = re.compile(r"\[(.+)\]")


class Hdf5File:
    """An HDF5 file. Datasets of one frame each whose paths differ in numbers are one array too."""

    def __init__(self, path: Path, source: Path) -> None:
        """`source` is the file that messages name. Raises InputError, or DependencyError without h5py."""
        library = load_extra("h5py", "hdf5", source)
        self._source = source
        with reading(source), path.open("rb"):
            pass  # asks for permission, since HDF5 does not say why it cannot open a file
        try:
            self._file: h5py.File = library.File(path, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise self._damaged(error) from error
        try:
            self._datasets = self._find(library)
            self._stacks = self._find_stacks()
        except BaseException as error:
            self._file.close()
            if isinstance(error, (OSError, RuntimeError, ValueError, KeyError)):
                raise self._damaged(error) from error
            raise

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each dataset of numbers, and of those of one frame each together."""
        single = {name: dataset.shape for name, dataset in self._datasets.items()}
        stacked = {name: (len(members), *self._datasets[members[0]].shape) for name, members in self._stacks.items()}
        return stacked | single

    def stored(self, name: str) -> Stored:
        """One of the datasets."""
        members = self._stacks.get(name, [name])
        first = self._datasets[members[0]]
        packing = self._packing(members[0])
        datasets = [self._datasets[member] for member in members]
        clock = None if name in self._stacks else _clock(first, f"{self._source}: {name}")

        def read(key: Key) -> Values:
            if name not in self._stacks:
                return np.asarray(first[key])
            steps, *rest = key
            chosen = datasets[steps] if isinstance(steps, slice) else datasets[steps : steps + 1]
            return np.stack([dataset[tuple(rest)] for dataset in chosen])

        return Stored(
            shape=tuple(self.shapes[name]),
            dtype=first.dtype,
            read=read,
            dims=_dims(first) if name not in self._stacks else ("time", "y", "x"),
            chunk=first.chunks if name not in self._stacks else None,
            to_values=packing.to_values,
            unit=packing.unit,
            missing=packing.missing_value(first.dtype),
            declared_range=packing.declared_range,
            times=None if clock is None else clock.times,
            start=None if clock is None else clock.start,
            order=None if clock is None else clock.order,
            close=self._file.close,
            facts=lambda: self._facts(name, packing),
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _facts(self, name: str, packing: Packing) -> SourceFacts:
        first = self._datasets[self._stacks.get(name, [name])[0]]
        stacked = name in self._stacks
        attributes = {} if stacked else _attributes(first)
        if packing.is_scaled:
            attributes |= {"scale_factor": packing.scale, "add_offset": packing.offset}
        scales = () if stacked else tuple(dim[0] for dim in first.dims if len(dim))
        variables = {str(each.name).rpartition("/")[2]: each for each in scales}
        dims, clock = (("time", "y", "x") if stacked else _dims(first)), None if stacked else _time_scale(first)
        return SourceFacts(
            "hdf5",
            name.replace("#", ""),
            stored_as(first.dtype),
            replace(packing, lowest=None),
            dims=dims,
            attributes=attributes,
            variables=tuple(_variable(each, key) for key, each in variables.items()) if dims else (),
            time=None if clock is None or not dims else _time_axis(clock),
            file_attributes={} if stacked else _attributes(first.parent),
        )

    def _find(self, library: Any) -> dict[str, "h5py.Dataset"]:
        """The datasets of numbers with rows and columns, measured ones first, in natural order of their paths."""
        found: dict[str, h5py.Dataset] = {}

        def visit(name: str, item: object) -> None:
            if isinstance(item, library.Dataset) and item.ndim >= 2 and item.dtype.kind in NUMBERS and item.size:
                found[name] = item

        self._file.visititems(visit)
        kinds = {name: (dataset.dtype, dict(dataset.attrs)) for name, dataset in found.items()}
        return {name: found[name] for name in measured_first(kinds)}

    def _find_stacks(self) -> dict[str, list[str]]:
        """Datasets of one frame each that differ in the numbers of their paths, and in no size, type or unit."""
        if text(self._file.attrs.get("Conventions", "")).startswith("ODIM"):  # numbers are those of elevations
            return {}
        alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
        for name, dataset in self._datasets.items():
            if dataset.ndim == 2:
                path = _DIGITS.sub("#", name)
                alike[path, dataset.shape, dataset.dtype.str, self._packing(name)].append(name)
        stacks = {str(key[0]): members for key, members in alike.items() if len(members) > 1 and "#" in str(key[0])}
        return {name: members for name, members in stacks.items() if name not in self._datasets}

    def _packing(self, name: str) -> Packing:
        """How the values of a dataset are stored: by its attributes, or those of the groups around it."""
        source = f"{self._source}: {name}"
        dataset = self._datasets[name]
        parent = dataset.parent
        if "calibration" in parent and "calibration_formulas" in parent["calibration"].attrs:
            return _knmi(parent, source)
        what: dict[str, Any] = {}
        for group in (parent.parent, parent):
            if "what" in group:
                what |= dict(group["what"].attrs)
        return _odim(what, source) if "gain" in what else cf_packing(dict(dataset.attrs), source)

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self._source}: is cut off, damaged or not an HDF5 file ({error}); copy or download it again."
        )


def _knmi(group: "h5py.Group", source: str) -> Packing:
    """The packing of an image of KNMI's radar files (HDF5 Data Format Specification 3.5, section on images)."""
    attributes = group["calibration"].attrs
    formula = _FORMULA.search(text(attributes["calibration_formulas"]))
    if formula is None:
        raise InputError(f"{source}: has calibration_formulas that are not GEO=a*PV+b; correct them.")
    missing = [
        value
        for key in ("calibration_missing_data", "calibration_out_of_image")
        if key in attributes
        for value in numbers(attributes[key], key, source)
    ]
    unit = _UNIT.search(text(group.attrs.get("image_geo_parameter", "")))
    (scale,) = numbers(formula["scale"], "calibration_formulas", source)
    (offset,) = numbers((formula["offset"] or "0").replace(" ", "").replace("+-", "-"), "calibration_formulas", source)
    return Packing(
        unit="" if unit is None else unit[1].replace("MM", "mm").replace("/H", "/h").replace("DBZ", "dBZ"),
        scale=checked_scale(scale, source),
        offset=offset,
        missing=tuple(dict.fromkeys(missing)),
    )


QUANTITIES = {"TH": "dBZ", "TV": "dBZ", "DBZH": "dBZ", "DBZV": "dBZ", "RATE": "mm/h", "ACRR": "mm", "VRAD": "m/s"}
"""Units of quantities of ODIM_H5 (2.4, table 16)."""


def _odim(what: Mapping[str, Any], source: str) -> Packing:
    """The packing of a dataset of ODIM_H5 (2.4, table 15): what was not detected is read as the offset."""

    def one(name: str) -> float | None:
        return numbers(what[name], name, source)[0] if name in what else None

    nodata = one("nodata")
    return Packing(
        unit=QUANTITIES.get(text(what.get("quantity", "")), ""),
        scale=checked_scale(one("gain") or 0.0, source),
        offset=one("offset") or 0.0,
        missing=() if nodata is None else (nodata,),
        lowest=one("undetect"),
    )


def _dims(dataset: "h5py.Dataset") -> tuple[str, ...] | None:
    """Names of the axes, by their labels or scales; None where one has none."""
    names = [
        dim.label or (str(dim[0].name).rpartition("/")[2] if len(dim) else "")  # a scale is a dataset
        for dim in dataset.dims
    ]
    return tuple(names) if all(names) else None


def _time_scale(dataset: "h5py.Dataset") -> "h5py.Dataset | None":
    """The scale of the time axis; None where there is none."""
    for dim, size in zip(dataset.dims, dataset.shape, strict=True):
        if len(dim) and str(dim[0].name).rpartition("/")[2].lower() in NAMES["T"] and dim[0].shape == (size,):
            return dim[0]
    return None


def _clock(dataset: "h5py.Dataset", source: str) -> Clock | None:
    """The times of the frames, by the scale of the time axis; None where there is none."""
    scale = _time_scale(dataset)
    if scale is None:
        return None
    return clock_of(scale[()], text(scale.attrs.get("units")), text(scale.attrs.get("calendar")), source)


def _time_axis(scale: "h5py.Dataset") -> TimeAxis | None:
    """The coordinate of the frames, in the order of their times."""
    name = str(scale.name).rpartition("/")[2]
    variable = _variable(scale, name)
    seconds = unit_seconds(text(scale.attrs.get("units")))
    return None if seconds is None else TimeAxis(replace(variable, values=np.sort(variable.values)), seconds)


def _variable(scale: "h5py.Dataset", name: str) -> Variable:
    """A scale, which is along the axis that it names."""
    values = np.asarray(scale[()] if scale.dtype.kind != "O" else scale.asstr()[()])
    return Variable(name, (name,), values, _attributes(scale))


def _attributes(item: "h5py.Dataset | h5py.Group") -> dict[str, Any]:
    """The numbers and texts among the attributes, which any format can hold."""
    found: dict[str, Any] = {}
    for key, value in item.attrs.items():
        kind = np.asarray(value).dtype.kind
        if key not in SCALES and kind in f"{NUMBERS}SU":
            found[key] = np.asarray(value).astype(str).tolist() if kind in "SU" else value
    return found


READER = array_reader("hdf5", "HDF5 files", frozenset({".h5", ".hdf5", ".hdf", ".he5"}), Hdf5File)
