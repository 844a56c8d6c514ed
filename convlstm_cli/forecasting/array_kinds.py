"""Arrays of frames as videos, and forecasts as arrays of the same kind: numpy, torch, xarray."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers.arrays.labelled import Labelled, labelled_array
from convlstm_cli.video.readers.arrays.layout import Layout, named_layout
from convlstm_cli.video.readers.arrays.npy import NUMBERS
from convlstm_cli.video.readers.arrays.stored import Stored, frames_of
from convlstm_cli.video.readers.checks import check_pixels
from convlstm_cli.video.readers.video_reader import VideoReader
from convlstm_cli.video.source import SourceFacts, member_dim
from convlstm_cli.video.values import to_type

SOURCE = Path("frames")
"""What messages call an array."""
PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "dtype")
"""Entries of the encoding of a DataArray that say how its values are stored in a file."""
VALID = ("valid_range", "valid_min", "valid_max")
"""Attributes of a DataArray whose numbers are those that a file stores (CF 1.11, section 2.5.1)."""


class Given(Protocol):
    """An array of frames that was given."""

    def open(self) -> VideoReader:
        """Its frames as a video."""

    def alike(self, forecast: Frame, step: float | None, chosen: Sequence[int] | None) -> Any:
        """A forecast (T, H, W, C) as an array of the same kind.

        `step` is in seconds, None where times are unknown; `chosen` are the channels that were read, None for all.
        """

    def together(self, members: Sequence[Any]) -> Any:
        """Arrays that `alike` gave, along a first axis more."""


def video_of(frames: object) -> Given:
    """The frames of an array. Raises InputError for what is none."""
    if isinstance(frames, Tensor):
        return TorchFrames.of(frames)
    if isinstance(frames, np.ndarray):
        return NumpyFrames.of(frames, frames.dtype)
    xarray = sys.modules.get("xarray")  # whoever has a DataArray has imported it
    if xarray is not None and isinstance(frames, xarray.DataArray):
        return LabelledFrames.of(frames)
    raise InputError(
        f"{SOURCE}: is a {type(frames).__name__}; give a numpy array, a torch tensor or an xarray.DataArray, such as "
        "numpy.stack(frames)."
    )


@dataclass(frozen=True)
class NumpyFrames:
    """A numpy array (T, H, W) or (T, H, W, C), masked or not."""

    stored: Stored
    layout: Layout
    dtype: np.dtype[Any]
    masked: bool

    @classmethod
    def of(cls, frames: NDArray[Any], dtype: np.dtype[Any]) -> "NumpyFrames":
        """The frames of an array. Raises InputError for other shapes and for values that are no numbers."""
        if frames.ndim not in (3, 4) or 0 in frames.shape:
            raise InputError(f"{SOURCE}: has the shape {frames.shape}; give (T, H, W) or (T, H, W, C).")
        _check_numbers(dtype)
        stored = Stored(frames.shape, frames.dtype, lambda key: frames[key])
        return cls(stored, Layout("THWC"[: frames.ndim]), dtype, isinstance(frames, np.ma.MaskedArray))

    def open(self) -> VideoReader:
        """Its frames as a video without times."""
        return _reader(self.stored, self.layout)

    def alike(self, forecast: Frame, step: float | None, chosen: Sequence[int] | None) -> NDArray[Any]:  # noqa: ARG002 - no axis has a name
        """A forecast (T, H, W, C) as an array with as many axes, of its type; masked where there is no value."""
        values = forecast if "C" in self.layout.axes else forecast[..., 0]
        if not self.masked:
            return _typed(values, self.dtype)
        gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        return np.ma.MaskedArray(_typed(np.where(gone, 0, values), self.dtype), gone)

    def together(self, members: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The members of a forecast along a first axis."""
        stacked: NDArray[Any] = np.ma.stack(members) if self.masked else np.stack(members)
        return stacked


@dataclass(frozen=True)
class TorchFrames:
    """A tensor (T, H, W) or (T, C, H, W)."""

    numbers: NumpyFrames
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, frames: Tensor) -> "TorchFrames":
        """The frames of a tensor. Raises InputError for other shapes and for values that are no numbers."""
        if frames.ndim not in (3, 4) or 0 in frames.shape:
            raise InputError(f"{SOURCE}: has the shape {tuple(frames.shape)}; give (T, H, W) or (T, C, H, W).")
        held = frames.detach().cpu()
        values = (held.float() if frames.dtype == torch.bfloat16 else held).numpy()
        moved = values if frames.ndim == 3 else values.transpose(0, 2, 3, 1)
        return cls(NumpyFrames.of(moved, moved.dtype), frames.dtype, frames.device)

    def open(self) -> VideoReader:
        """Its frames as a video without times."""
        return self.numbers.open()

    def alike(self, forecast: Frame, step: float | None, chosen: Sequence[int] | None) -> Tensor:
        """A forecast (T, H, W, C) as a tensor with as many axes, of its type, on its device."""
        values = self.numbers.alike(forecast, step, chosen)
        moved = values if values.ndim == 3 else values.transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(moved)).to(self.device, self.dtype)

    def together(self, members: Sequence[Tensor]) -> Tensor:
        """The members of a forecast along a first axis."""
        return torch.stack(tuple(members))


@dataclass(frozen=True)
class LabelledFrames:
    """An xarray.DataArray with dimensions of time, rows and columns, and maybe of channels."""

    array: Any
    stored: Stored
    layout: Layout

    @classmethod
    def of(cls, array: Any) -> "LabelledFrames":
        """The frames of a DataArray, of which a few are read at a time.

        Raises InputError for dimensions that cannot be told apart by their names, and for values that are no numbers.
        """
        _check_numbers(array.dtype)
        along = {str(name): _coordinate(each) for name, each in array.coords.items() if each.ndim == 1}
        coordinates = {name: each for name, each in along.items() if each.dtype.kind in NUMBERS}
        values = Labelled(
            tuple(map(str, array.dims)), array.shape, array.dtype, lambda key: array[key].values, _attributes(array)
        )
        stored = labelled_array(values, coordinates, str(SOURCE), SourceFacts(), chunk=None)
        layout = None if 0 in array.shape else named_layout(stored.dims or (), array.shape)
        if layout is None or "T" not in layout.axes or layout.size(array.shape, "N") > 1:
            raise InputError(
                f"{SOURCE}: has dimensions {dict(array.sizes)}; rename them to time, y, x and, if there is a fourth, "
                "channel, and take one of several sequences with isel."
            )
        return cls(array, stored, layout)

    def open(self) -> VideoReader:
        """Its frames as a video, with the times of the time coordinate."""
        return _reader(self.stored, self.layout)

    def alike(self, forecast: Frame, step: float | None, chosen: Sequence[int] | None) -> Any:
        """A forecast (T, H, W, C) as a DataArray of its type, with its attributes, coordinates and times."""
        axes, array = self.layout.axes, self.array
        values = np.expand_dims(forecast, tuple(range(4, 4 + sum(letter in "N_" for letter in axes))))
        extra = iter(range(4, values.ndim))
        order = [next(extra) if letter in "N_" else "THWC".index(letter) for letter in axes]
        values = values.transpose(*order, 3)[..., 0] if "C" not in axes else values.transpose(order)
        time, channel = (array.dims[axes.index(letter)] if letter in axes else None for letter in "TC")
        if chosen is not None and channel is not None:
            array = array.isel({channel: list(chosen)})
        coordinates = {name: each for name, each in array.coords.items() if time not in each.dims}
        if channel is not None and array.sizes[channel] != forecast.shape[3]:  # grey of a network for grey
            coordinates = {name: each for name, each in coordinates.items() if channel not in each.dims}
        if time in array.coords and (times := self._times(array.coords[time], len(forecast), step)) is not None:
            coordinates[time] = ((time,), times, array.coords[time].attrs, array.coords[time].encoding)
        result = type(array)(
            _typed(values, array.dtype), coords=coordinates, dims=array.dims, name=array.name, attrs=array.attrs
        )
        result.encoding = {name: value for name, value in array.encoding.items() if name in PACKING}
        return result

    def together(self, members: Sequence[Any]) -> Any:
        """The members of a forecast along a first dimension, with their numbers from 1 as its coordinate."""
        first = members[0]
        dim = member_dim([str(name) for name in (*first.dims, *first.coords)])
        result = type(first)(
            np.stack([each.values for each in members]),
            coords={dim: np.arange(1, len(members) + 1), **first.coords},
            dims=(dim, *first.dims),
            name=first.name,
            attrs=first.attrs,
        )
        result.encoding = dict(first.encoding)
        return result

    def _times(self, coordinate: Any, frames: int, step: float | None) -> NDArray[Any] | None:
        """The values of the time coordinate that follow; None where they do not go on evenly."""
        values = coordinate.values if self.stored.order is None else coordinate.values[list(self.stored.order)]
        last, leads = values[-1], np.arange(1, frames + 1)
        if values.dtype.kind in "mMO":
            if step is None:
                return None
            ahead = [lead * step for lead in leads.tolist()]
            if values.dtype.kind == "O":  # dates of another calendar
                return np.array([last + timedelta(seconds=each) for each in ahead])
            steps = np.array([round(each * 1e9) for each in ahead], "timedelta64[ns]")
            return np.asarray((last + steps).astype(values.dtype))
        if values.dtype.kind not in "iuf":
            return None
        even = float(values[-1]) - float(values[-2])
        if step is not None and self.stored.times is not None:
            even = step * (float(values[-1]) - float(values[0])) / (self.stored.times[-1] - self.stored.times[0])
        following = float(last) + even * leads
        whole = values.dtype.kind == "f" or np.allclose(following, np.rint(following), rtol=0, atol=1e-6)
        return _typed(following, values.dtype) if whole else following


def _reader(stored: Stored, layout: Layout) -> VideoReader:
    check_pixels(SOURCE, *(layout.size(stored.shape, letter) for letter in "HW"))
    return VideoReader(
        SOURCE,
        "array",
        frames_of(stored, layout, 0, SOURCE),
        layout.size(stored.shape, "T"),
        start=stored.start,
        unit=stored.unit,
        missing=stored.missing,
        declared_range=stored.declared_range,
    )


def _coordinate(coordinate: Any) -> Labelled:
    """A coordinate; dates and durations as seconds."""
    values, attributes = coordinate.values, dict(coordinate.attrs)
    if values.dtype.kind == "M":
        attributes |= {"units": f"seconds since {np.datetime_as_string(values[0], unit='s')}", "calendar": ""}
        values = (values - values[0]) / np.timedelta64(1, "s")
    elif values.dtype.kind == "m":
        attributes |= {"units": "seconds"}
        values = values / np.timedelta64(1, "s")
    elif values.dtype.kind == "O" and hasattr(values[0], "calendar"):
        attributes |= {"units": "seconds", "calendar": values[0].calendar}
        values = np.array([(each - values[0]).total_seconds() for each in values])
    read: Callable[[Any], NDArray[Any]] = lambda key: values[key]  # noqa: E731 - of the values of this very call
    return Labelled(tuple(map(str, coordinate.dims)), values.shape, values.dtype, read, attributes)


def _attributes(array: Any) -> dict[str, Any]:
    """The attributes of a DataArray for its values as they are, which xarray has scaled already."""
    packing, attributes = array.encoding, {**array.attrs}
    for name in ("scale_factor", "add_offset"):
        attributes.pop(name, None)
    for name in VALID:
        if name in attributes and ("scale_factor" in packing or "add_offset" in packing):
            stored = np.asarray(attributes[name], np.float64)
            attributes[name] = stored * packing.get("scale_factor", 1.0) + packing.get("add_offset", 0.0)
    return attributes


def _check_numbers(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in NUMBERS:
        raise InputError(f"{SOURCE}: holds values of the type {dtype}, which are no pixels; give numbers.")


def _typed(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values in a type that may be one of those that frames are read as another one of."""
    return values if values.dtype == dtype else to_type(values, dtype)
