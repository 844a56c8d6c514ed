"""Arrays whose axes have names and coordinates, as NetCDF and zarr keep them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlstm_cli.video.readers.arrays.clock import Clock, clock_of
from convlstm_cli.video.readers.arrays.layout import NAMES
from convlstm_cli.video.readers.arrays.packing import cf_packing, text
from convlstm_cli.video.readers.arrays.stored import Key, Stored, Values, nothing

AXES = {"T": "time", "Y": "y", "X": "x"}
"""Names of the axes that the attribute `axis` of a coordinate stands for (CF 1.11, section 4)."""
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


def labelled_array(
    array: Labelled,
    coordinates: Mapping[str, Labelled],
    source: str,
    *,
    chunk: tuple[int, ...] | None,
    close: Callable[[], object] = nothing,
) -> Stored:
    """The array with the axes and times that its coordinates give. `coordinates` are the variables of one axis."""
    packing = cf_packing(array.attributes, source)
    dims = tuple(_meaning(dim, coordinates.get(dim)) for dim in array.dims)
    clock = _clock(array, dims, coordinates, source)
    return Stored(
        shape=array.shape,
        dtype=array.dtype,
        read=array.read,
        dims=dims,
        chunk=chunk,
        to_values=packing.to_values,
        unit=packing.unit,
        missing=packing.missing_value(array.dtype),
        declared_range=packing.declared_range,
        times=None if clock is None else clock.times,
        start=None if clock is None else clock.start,
        order=None if clock is None else clock.order,
        close=close,
    )


def _meaning(dim: str, coordinate: Labelled | None) -> str:
    """The name of a dimension, or of what its coordinate says that it is."""
    if coordinate is None or any(dim.lower() in names for names in NAMES.values()):
        return dim
    axis = AXES.get(text(coordinate.attributes.get("axis", "")).upper())
    return axis or STANDARD_NAMES.get(text(coordinate.attributes.get("standard_name", "")), dim)


def _clock(array: Labelled, dims: tuple[str, ...], coordinates: Mapping[str, Labelled], source: str) -> Clock | None:
    """The times of the frames, by the coordinate of the time axis, or another variable along it in a unit of time."""
    axis = next((at for at, dim in enumerate(dims) if dim.lower() in NAMES["T"]), None)
    if axis is None or array.shape[axis] < 1:
        return None
    dim = array.dims[axis]
    along = [each for name, each in coordinates.items() if each.dims == (dim,) and name != dim]
    along = [each for each in along if " since " in text(each.attributes.get("units", ""))]
    for each in ([coordinates[dim]] if dim in coordinates else []) + along:
        unit, calendar = (text(each.attributes.get(key, "")) for key in ("units", "calendar"))
        packing = cf_packing({**each.attributes, "units": ""}, source)
        values = packing.to_values(each.read((slice(None),)))
        if len(values) == array.shape[axis] and (clock := clock_of(values, unit, calendar, source)) is not None:
            return clock
    return None
