"""How frames become an array of a file with named axes: those of their source, its coordinates, its attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.source import DIMS, Placement, SourceFacts, Variable, member_dim

NAME = "frames"
"""Name of the array of a source that has none."""
PACKING = ("scale_factor", "add_offset", "missing_value", "_Unsigned", "valid_min", "valid_max", "valid_range")
"""Attributes that hold for stored values, and go where these are others."""
INNER = (
    "_FillValue", "actual_range", "dtype", "ancillary_variables", "cell_measures", "DIMENSION_LIST", "REFERENCE_LIST",
    "CLASS", "NAME", "_Netcdf4Coordinates", "_Netcdf4Dimid", "_ARRAY_DIMENSIONS",
)  # fmt: skip
"""Attributes that the writer makes itself, that describe the source's own values, or name what is not taken on."""
REFERENCES = ("coordinates", "grid_mapping", "bounds")
"""Attributes that name variables."""


@dataclass(frozen=True)
class Arrangement:
    """An array of frames in a file."""

    group: str
    """Group that it is in; empty for none."""
    name: str
    axes: str
    """A letter for each axis, with one T; M, the first, is that of members."""
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    """That of one frame: the axes of time and of members have one entry."""
    dtype: np.dtype[Any]
    """Type in which values are stored."""
    packing: Packing
    fill: Any
    """The stored value that stands for no measurement; None where there is none."""
    attributes: Mapping[str, Any]
    variables: tuple[Variable, ...]
    placement: Placement

    @property
    def at(self) -> int:
        """Position of the axis of time."""
        return self.axes.index("T")

    def key(self, frame: int) -> tuple[slice, ...]:
        """Where a frame belongs, by its number from 0 in the order of writing."""
        member, step = divmod(frame, self.placement.frames or 1) if "M" in self.axes else (0, frame)
        places = {"M": slice(member, member + 1), "T": slice(step, step + 1)}
        return tuple(places.get(letter, slice(None)) for letter in self.axes)

    def stored(self, frame: Frame) -> NDArray[Any]:
        """A frame (H, W, C) as the array holds it: stored values of `shape`."""
        values = self.packing.to_stored(frame, self.dtype)
        order = [("HWC".index(letter)) for letter in self.axes if letter in "HWC"]
        rest = [axis for axis in range(3) if axis not in order]  # the channel of an array that has no axis for it
        return values.transpose(*order, *rest).reshape(self.shape)

    @property
    def members(self) -> Variable | None:
        """The coordinate of the members; None where there are none."""
        count = self.placement.members
        if count is None:
            return None
        numbers = np.arange(1, count + 1, dtype=np.int32)
        return Variable(self.dims[0], self.dims[:1], numbers, {"standard_name": "realization", "units": "1"})

    def times(self, frames: int) -> Variable | None:
        """The coordinate of the frames; None where it is not known."""
        placement, axis = self.placement, self.placement.source.time
        dims = (self.dims[self.at],)
        if axis is not None:
            values = axis.at(placement.seconds, placement.first, frames)
            attributes = {key: each for key, each in axis.variable.attributes.items() if key not in REFERENCES}
            return None if values is None else Variable(axis.variable.name, dims, values, attributes)
        if placement.seconds is None or len(placement.seconds) < frames:
            return None
        seconds = np.asarray(placement.seconds[:frames])
        unit = "s" if placement.start is None else f"seconds since {placement.start.isoformat(' ')}"
        attributes = {"standard_name": "time", "units": unit, "axis": "T"}
        if placement.start is not None:
            attributes["calendar"] = "proleptic_gregorian"
        if (seconds == np.rint(seconds)).all():
            seconds = seconds.astype(np.int64)
        return Variable(dims[0], dims, seconds, attributes)


def arrange(placement: Placement, shape: tuple[int, ...], dtype: str, stand_ins: Mapping[str, str]) -> Arrangement:
    """The array for frames (H, W, C) of a type. `stand_ins` are for types that the format does not have."""
    source = placement.source
    height, width, channels = shape
    dims = source.dims or tuple(DIMS[letter] for letter in source.axes)
    axes, names = list(source.axes), list(dims)
    if "T" not in axes:
        axes, names = ["T", *axes], [DIMS["T"], *names]
    if channels > 1 and "C" not in axes:
        axes, names = [*axes, "C"], [*names, DIMS["C"]]
    if placement.members is not None:
        axes, names = ["M", *axes], [member_dim([*names, *(each.name for each in source.variables)]), *names]
    sizes = {"M": 1, "T": 1, "H": height, "W": width, "C": channels, "_": 1}
    by_name = {name: sizes[letter] for name, letter in zip(names, axes, strict=True)}
    variables = _fitting(placement, shape, by_name)
    stored, packing = storage(placement, dtype, stand_ins)
    group, _, name = source.name.rpartition("/")
    return Arrangement(
        group,
        name or NAME,
        "".join(axes),
        tuple(names),
        tuple(sizes[letter] for letter in axes),
        stored,
        packing,
        packing.fill_value(stored),
        _attributes(placement, variables, kept=packing is source.packing, is_bool=dtype == "bool" != stored.name),
        variables,
        placement,
    )


def storage(
    placement: Placement, dtype: str, stand_ins: Mapping[str, str], *, scaled: bool = True
) -> tuple[np.dtype[Any], Packing]:
    """The type in which frames of a type are stored, and how: as in the source, where that can hold them.

    `stand_ins` are for types that the format does not have; `scaled` is whether it says how values are scaled.
    """
    source, frames = placement.source, np.dtype(dtype)
    stored = np.dtype(source.dtype or dtype)
    new_gaps = placement.missing is not None and not source.packing.missing  # that integers have no value for
    unfit = stored.name in stand_ins or (stored.kind in "iu" and frames.kind == "f" and new_gaps)
    if source.dtype and not unfit and (scaled or not source.packing.is_scaled):
        return stored, source.packing
    missing = placement.missing if frames.kind in "iu" else None
    packing = Packing(unit=placement.unit, missing=() if missing is None else (missing,))
    return np.dtype(stand_ins.get(dtype, dtype)), packing


def _fitting(placement: Placement, shape: tuple[int, ...], sizes: Mapping[str, int]) -> tuple[Variable, ...]:
    """The variables of the source that hold for frames (H, W, C)."""
    source = placement.source
    if source.dims is None:
        return ()
    lost = set()
    if not placement.fits(*shape[:2]):
        lost |= {name for name, letter in zip(source.dims, source.axes, strict=True) if letter in "HW"}
    if source.channels != shape[2]:
        lost |= {name for name, letter in zip(source.dims, source.axes, strict=True) if letter == "C"}
    kept = [each for each in source.variables if not lost & set(each.dims)]
    return tuple(
        each
        for each in kept
        if all(sizes.get(name, size) == size for name, size in zip(each.dims, each.values.shape, strict=True))
    )


def _attributes(placement: Placement, variables: tuple[Variable, ...], *, kept: bool, is_bool: bool) -> dict[str, Any]:
    source: SourceFacts = placement.source
    out = INNER if kept else (*INNER, *PACKING)
    attributes = {key: value for key, value in source.attributes.items() if key not in out}
    if placement.unit:
        attributes.setdefault("units", placement.unit)
    if is_bool:
        attributes["dtype"] = "bool"  # as xarray marks what is true or false
    return referring(attributes, variables)


def referring(attributes: Mapping[str, Any], variables: tuple[Variable, ...]) -> dict[str, Any]:
    """Attributes whose references are to variables that are there."""
    there = {each.name for each in variables}
    result = dict(attributes)
    for key in REFERENCES:
        if key in result:
            words = [word for word in str(result.pop(key)).split() if word.rstrip(":") in there]
            if words:
                result[key] = " ".join(words)
    return result
