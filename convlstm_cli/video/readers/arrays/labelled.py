"""Arrays whose axes have names and coordinates, as NetCDF and zarr keep them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlstm_cli.video.natural import natsorted
from convlstm_cli.video.packing import cf_packing, text
from convlstm_cli.video.readers.arrays.clock import Clock, clock_of, unit_seconds
from convlstm_cli.video.readers.arrays.layout import NAMES
from convlstm_cli.video.readers.arrays.npy import NUMBERS
from convlstm_cli.video.readers.arrays.stored import Key, Stored, Values, nothing
from convlstm_cli.video.source import SourceFacts, TimeAxis, Variable, stored_as

AXES = {"T": "time", "Y": "y", "X": "x"}
"""Names of the axes that the attribute `axis` of a coordinate stands for (CF 1.11, section 4)."""
MOST_AXES = 2
"""Axes of a variable that a forecast takes on: those of more may be as large as the frames."""
PACKED = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned")
"""Attributes of a coordinate that its values in their unit do not have."""
STANDARD_NAMES = {
    "time": "time",
    "latitude": "y",
    "projection_y_coordinate": "y",
    "grid_latitude": "y",
    "longitude": "x",
    "projection_x_coordinate": "x",
    "grid_longitude": "x",
}


@dataclass(frozen=True)
class Labelled:
    """A variable of a file."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Key], Values]
    attributes: Mapping[str, Any]
    unwritten: float | None = None
    """What a float has that was never written, if no attribute names it; None where that is a value."""

    @property
    def packed_by(self) -> Mapping[str, Any]:
        """The attributes that say how values are stored."""
        return self.attributes if self.unwritten is None else {"_FillValue": self.unwritten} | dict(self.attributes)

    def variable(self, name: str) -> Variable:
        """All of it, in memory."""
        read = self.read((slice(None),) * len(self.shape) if self.shape else ())
        values = np.asarray(read)
        if values.dtype.kind in "OUT":
            values = values.astype(object)
        elif values.dtype.kind not in NUMBERS:  # bytes, as of a grid mapping, whose value means nothing
            values = np.zeros(values.shape, np.int8)
        return Variable(name, self.dims, values, dict(self.attributes))


def labelled_array(
    array: Labelled,
    beside: Mapping[str, Labelled],
    source: str,
    facts: SourceFacts,
    *,
    chunk: tuple[int, ...] | None,
    close: Callable[[], object] = nothing,
) -> Stored:
    """The array with the axes and times that its coordinates give.

    `beside` are the variables that it can name, its coordinates among them; `facts` say what the file is.
    """
    packing = cf_packing(array.packed_by, source)
    coordinates = {name: each for name, each in beside.items() if len(each.dims) == 1 and each.dtype.kind in NUMBERS}
    dims = tuple(_meaning(dim, coordinates.get(dim)) for dim in array.dims)
    named_clock = _clock(array, dims, coordinates, source)
    clock = None if named_clock is None else named_clock[1]
    is_bool = text(array.attributes.get("dtype", "")) == "bool" and array.dtype.kind in "iu"  # as xarray marks it

    def taken_on() -> SourceFacts:
        return replace(
            facts,
            dtype=stored_as(array.dtype),
            packing=cf_packing(array.attributes, source),
            dims=array.dims,
            attributes=dict(array.attributes),
            variables=tuple(beside[name].variable(name) for name in _named(array, beside)),
            time=None if named_clock is None else _time_axis(coordinates[named_clock[0]], *named_clock, source),
        )

    return Stored(
        shape=array.shape,
        dtype=array.dtype,
        read=array.read,
        dims=dims,
        chunk=chunk,
        to_values=(lambda raw: raw.astype(bool)) if is_bool else packing.to_values,
        unit=packing.unit,
        missing=None if is_bool else packing.missing_value(array.dtype),
        declared_range=packing.declared_range,
        times=None if clock is None else clock.times,
        start=None if clock is None else clock.start,
        order=None if clock is None else clock.order,
        close=close,
        facts=taken_on,
    )


def measured_first(arrays: Mapping[str, tuple[np.dtype[Any], Mapping[str, Any]]]) -> list[str]:
    """The names of arrays of these types and attributes in natural order, those of flags and qualities last.

    Measured values have a unit, or else fractions.
    """

    def rank(name: str) -> tuple[bool, bool]:
        dtype, attributes = arrays[name]
        has_unit = text(attributes.get("units", "")) not in ("", "1")
        return not has_unit, dtype.kind != "f" and "scale_factor" not in attributes

    return sorted(natsorted(arrays), key=rank)


def _named(array: Labelled, beside: Mapping[str, Labelled]) -> list[str]:
    """The variables that an array's axes and attributes name, and the bounds of these."""
    names = [*array.dims, *_words(array.attributes, "coordinates"), *_words(array.attributes, "grid_mapping")]
    found = [name for name in dict.fromkeys(names) if name in beside and len(beside[name].dims) <= MOST_AXES]
    bounds = [name for each in found for name in _words(beside[each].attributes, "bounds")]
    return list(
        dict.fromkeys([*found, *(name for name in bounds if len(getattr(beside.get(name), "dims", "----")) <= 2)])
    )


def _words(attributes: Mapping[str, Any], key: str) -> list[str]:
    return [word.rstrip(":") for word in text(attributes.get(key, "")).split()]


def _time_axis(coordinate: Labelled, name: str, clock: Clock, source: str) -> TimeAxis | None:
    """The coordinate that a clock was made of, in the order of the frames."""
    seconds = unit_seconds(text(coordinate.attributes.get("units", "")))
    if seconds is None:
        return None
    packing = cf_packing({**coordinate.attributes, "units": ""}, source)
    values = packing.to_values(coordinate.read((slice(None),)))
    attributes = {key: each for key, each in coordinate.attributes.items() if key not in PACKED}
    ordered = values if clock.order is None else values[list(clock.order)]
    return TimeAxis(Variable(name, coordinate.dims, ordered, attributes), seconds)


def _meaning(dim: str, coordinate: Labelled | None) -> str:
    """The name of a dimension, or of what its coordinate says that it is."""
    if coordinate is None or any(dim.lower() in names for names in NAMES.values()):
        return dim
    axis = AXES.get(text(coordinate.attributes.get("axis", "")).upper())
    return axis or STANDARD_NAMES.get(text(coordinate.attributes.get("standard_name", "")), dim)


def _clock(
    array: Labelled, dims: tuple[str, ...], coordinates: Mapping[str, Labelled], source: str
) -> tuple[str, Clock] | None:
    """The times of the frames, by the coordinate of the time axis, or another variable along it in a unit of time.

    With the name of that variable.
    """
    axis = next((at for at, dim in enumerate(dims) if dim.lower() in NAMES["T"]), None)
    if axis is None or array.shape[axis] < 1:
        return None
    dim = array.dims[axis]
    along = [name for name, each in coordinates.items() if each.dims == (dim,) and name != dim]
    along = [name for name in along if " since " in text(coordinates[name].attributes.get("units", ""))]
    for name in ([dim] if dim in coordinates else []) + along:
        each = coordinates[name]
        unit, calendar = (text(each.attributes.get(key, "")) for key in ("units", "calendar"))
        packing = cf_packing({**each.packed_by, "units": ""}, source)
        values = packing.to_values(each.read((slice(None),)))
        if len(values) == array.shape[axis] and (clock := clock_of(values, unit, calendar, source)) is not None:
            return name, clock
    return None
