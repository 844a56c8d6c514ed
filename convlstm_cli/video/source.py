"""What a source says beside its pixels, and a forecast of it takes on: names, axes, coordinates, attributes, places.

A reader fills `SourceFacts`, when it is asked to; a writer receives them in a `Placement`. Imports no torch and no
OpenCV.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.values import KEPT_AS, TYPES

MEMBER_DIMS = ("member", "realization", "forecast_member")
"""Names for the axis of the members of a forecast; the first that the source has no axis of."""
DIMS = {"N": "sequence", "T": "time", "C": "channel", "H": "y", "W": "x", "_": "one"}
"""Names of the axes of a source that names none, by the letters of `readers/arrays/layout.py`."""
STORABLE = TYPES | KEPT_AS.keys() - {"longdouble"}
"""Types of stored values that a forecast is given back in."""
NEAR = 0.01
"""How far the time of a frame may lie from one that the source names, in steps, to be that one."""


@dataclass(frozen=True)
class Variable:
    """An array beside the frames: a coordinate, its bounds, a grid mapping."""

    name: str
    dims: tuple[str, ...]
    values: NDArray[Any]
    """As they are stored: numbers, or text as objects."""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TimeAxis:
    """The coordinate of the frames."""

    variable: Variable
    """Its values, one for each frame of the source, in the order of the frames."""
    unit_seconds: float | None
    """Seconds of its unit; None where it does not count time."""

    def at(self, seconds: Sequence[float] | None, first: int, count: int) -> NDArray[Any] | None:
        """Its values for some frames; None where they cannot be known.

        The value of a frame that the source holds is the source's own, bit for bit; others follow at the same step.

        Args:
            seconds: from the source's first frame to each.
            first: position of the first of them, from 0, where the source's frames do not have times.
            count: how many there are.
        """
        ticks = self.variable.values
        if self.unit_seconds is None:
            return _continued(ticks, first, count)
        if seconds is None or len(seconds) < count:
            return None
        found = ticks[0].astype(np.float64) + np.asarray(seconds[:count]) / self.unit_seconds
        nearest = ticks[_nearest(ticks.astype(np.float64), found)]
        steps = np.diff(found if count > 1 else ticks.astype(np.float64))
        far = NEAR * float(np.median(np.abs(steps))) if len(steps) else 0.0
        known = np.abs(nearest - found) <= far
        whole = np.rint(found)
        if ticks.dtype.kind in "iu" and (known | (np.abs(whole - found) <= far)).all():
            return np.where(known, nearest, whole.astype(ticks.dtype))
        return np.where(known, nearest, found)


def _nearest(ticks: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions of the rising ticks that are nearest to some values."""
    after = np.searchsorted(ticks, found).clip(1, max(len(ticks) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(ticks) - 1)
    return np.where(found - ticks[before] <= ticks[after] - found, before, after)


def _continued(ticks: NDArray[Any], first: int, count: int) -> NDArray[Any] | None:
    """Numbers that go on as they rose before; None where they did not rise evenly."""
    if len(ticks) < 2 or ticks.dtype.kind not in "iuf" or not np.isfinite(ticks).all():
        return None
    steps = np.diff(ticks.astype(np.float64))
    if not np.allclose(steps, steps[0], rtol=1e-3, atol=0.0) or steps[0] == 0:
        return None
    positions = np.arange(first, first + count)
    beyond = ticks[-1] + (positions - (len(ticks) - 1)) * (ticks[-1] - ticks[-2])
    return np.where(positions < len(ticks), ticks[np.minimum(positions, len(ticks) - 1)], beyond).astype(ticks.dtype)


@dataclass(frozen=True)
class Tag:
    """A tag of a TIFF."""

    code: int
    kind: int
    """Type of its values, as TIFF 6.0 numbers them."""
    values: tuple[float, ...] | str


@dataclass(frozen=True)
class SourceFacts:
    """What a source says beside its pixels. A source that says nothing has the usual values."""

    format: str = ""
    """The output format that is its own kind, of OUTPUT_FORMATS; empty for a video or pictures of 8 bits."""
    name: str = ""
    """Name of the array, GROUP/NAME in a group; empty where it has none."""
    dtype: str = ""
    """Type of the values as the file stores them; empty where that is the frames' own."""
    packing: Packing = field(default_factory=Packing)
    """How stored values become those of the frames."""
    axes: str = "THW"
    """A letter for each axis, as `readers/arrays/layout.py` names them, without that of several videos."""
    dims: tuple[str, ...] | None = None
    """Names of the axes; None where it names none."""
    size: tuple[int, int] | None = None
    """Rows and columns that its coordinates and its geographic tags hold for; None where it has neither."""
    channels: int = 1
    """Channels that its coordinates hold for."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Those of the array."""
    variables: tuple[Variable, ...] = ()
    """What stands beside the array, other than its times."""
    time: TimeAxis | None = None
    file_attributes: Mapping[str, Any] = field(default_factory=dict)
    """Those of the file, or of the array's group."""
    zarr_format: Literal[2, 3] = 3
    """Version of a zarr store."""
    names: tuple[str, ...] = ()
    """Names of the channels, of a source that has no coordinate for them."""
    tags: tuple[Tag, ...] = ()
    """Tags of a TIFF that say where its pixels lie, and how far apart."""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels: the source's own, or the values of their coordinate; none where it names none."""
        if self.names or self.dims is None or "C" not in self.axes:
            return self.names
        dim = self.dims[self.axes.index("C")]
        values = next((each.values for each in self.variables if each.dims == (dim,) and each.name == dim), ())
        return tuple(f"{each:g}" if isinstance(each, np.number) else str(each) for each in values)

    def with_gaps(self) -> "SourceFacts":
        """The facts of a source that has missing pixels beside its numbers, as a mask has them.

        Integers that have no value for these are given back as floats.
        """
        stored = np.dtype(self.dtype or "float32")
        if stored.kind not in "iu" or self.packing.fill_value(stored) is not None:
            return self
        return replace(self, dtype="float64" if stored.itemsize > 2 else "float32")

    def laid_out(self, axes: str, shape: Sequence[int], sequence: int) -> "SourceFacts":
        """The facts of one sequence of an array, whose axes and sizes these are."""
        dims = list(self.dims or _distinct([DIMS[letter] for letter in axes]))
        sizes = dict(zip(axes, shape, strict=True))
        variables, left, attributes = list(self.variables), axes, dict(self.attributes)
        if sizes.get("N", 1) > 1:
            of_sequences = dims.pop(axes.index("N"))
            reduced = [each.name for each in variables if of_sequences in each.dims]
            if reduced:  # a coordinate of its own axis no longer, so it has to be named as one
                attributes["coordinates"] = " ".join([*str(attributes.get("coordinates", "")).split(), *reduced])
            variables = [_at(each, of_sequences, sequence) for each in variables]
            left = axes.replace("N", "")
        left = left.replace("N", "_")
        time, steps = self.time, dims[left.index("T")] if "T" in left else None
        if time is None and steps is not None:
            time = next((TimeAxis(each, None) for each in variables if each.name == steps == "".join(each.dims)), None)
        return replace(
            self,
            axes=left,
            dims=tuple(dims),
            size=(sizes["H"], sizes["W"]),
            channels=sizes.get("C", 1),
            attributes=attributes,
            variables=tuple(each for each in variables if steps not in each.dims),
            time=time,
        )

    def of_channels(self, chosen: Sequence[int]) -> "SourceFacts":
        """The facts of some channels, by their positions from 0."""
        names = tuple(self.names[each] for each in chosen) if self.names else ()
        tags = tuple(
            replace(each, values=gdal_metadata.of_bands(str(each.values), chosen))
            if each.code == gdal_metadata.TAG
            else each
            for each in self.tags
        )
        if "C" not in self.axes or self.dims is None:
            return replace(self, channels=len(chosen), names=names, tags=tags)
        dim = self.dims[self.axes.index("C")]
        variables = tuple(_at(each, dim, list(chosen)) for each in self.variables)
        return replace(self, channels=len(chosen), names=names, variables=variables, tags=tags)


def member_dim(dims: Sequence[str]) -> str:
    """A name for the axis of members beside axes of these names."""
    return next(name for name in MEMBER_DIMS if name not in dims)


def stored_as(dtype: np.dtype[Any]) -> str:
    """The name of a stored type, as `SourceFacts.dtype` has it."""
    return dtype.name if dtype.name in STORABLE else ""


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of which no two are the same."""
    return [name if names.index(name) == at else f"{name}{at}" for at, name in enumerate(names)]


def _at(variable: Variable, dim: str, chosen: int | list[int]) -> Variable:
    """A variable at one place along an axis, without that axis, or at several."""
    if dim not in variable.dims:
        return variable
    values = np.take(variable.values, chosen, axis=variable.dims.index(dim))
    dims = variable.dims if isinstance(chosen, list) else tuple(each for each in variable.dims if each != dim)
    return replace(variable, dims=dims, values=np.asarray(values))


@dataclass(frozen=True)
class Placement:
    """What frames are that are written: of which source, at which times, in which unit."""

    source: SourceFacts = field(default_factory=SourceFacts)
    frames: int | None = None
    """How many there will be; None where that is not known."""
    seconds: tuple[float, ...] | None = None
    """From the source's first frame to each; None where it has no times."""
    start: datetime | None = None
    """Date and time of the source's first frame; None where it has none."""
    first: int = 0
    """Position in the source of the first of them, from 0; its frames may end before."""
    unit: str = ""
    missing: float | None = None
    """The value of integers that means no data; floats have NaN."""
    members: int | None = None
    """How many members of a forecast there will be, all `frames` of the first before those of the second; None where
    the frames are of one forecast."""

    def steps(self, written: int) -> int:
        """Frames along the axis of time when so many have been written."""
        return written if self.members is None or self.frames is None else min(written, self.frames)

    def fits(self, height: int, width: int) -> bool:
        """Whether the coordinates of the source hold for frames of this size."""
        return self.source.size in (None, (height, width))
