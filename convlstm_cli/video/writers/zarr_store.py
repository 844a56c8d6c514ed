"""Zarr stores of versions 2 and 3, as xarray reads and writes them."""

import base64
import struct
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.source import Variable
from convlstm_cli.video.writers.arrangement import Arrangement
from convlstm_cli.video.writers.labelled import LabelledWriter


class ZarrWriter(LabelledWriter):
    """An array in a zarr store of the source's version, a frame a chunk; of version 3 where the source is none."""

    def _open(self, arrangement: Arrangement, attributes: Mapping[str, Any]) -> None:
        self._library = load_extra("zarr", "zarr", self.path, "written")
        self._version = self.placement.source.zarr_format
        self._root = self._library.open_group(str(self.partial), mode="w", zarr_format=self._version)
        self._group = self._root.require_group(arrangement.group) if arrangement.group else self._root
        self._group.attrs.update(_json(attributes))

    def _add(self, variable: Variable) -> None:
        attributes = dict(variable.attributes)
        fill = attributes.pop("_FillValue", None)
        values = variable.values
        dtype = str if values.dtype.kind == "O" else values.dtype
        made = self._array(variable.name, values.shape, values.shape, dtype, variable.dims, fill, attributes)
        made[...] = values

    def _add_frames(self, arrangement: Arrangement) -> None:
        self._made = self.placement.frames or 0
        self._frames = self._array(
            arrangement.name,
            self._shape(self._made),
            arrangement.shape,
            arrangement.dtype,
            arrangement.dims,
            arrangement.fill,
            arrangement.attributes,
        )

    def _put(self, key: tuple[Any, ...], stored: NDArray[Any]) -> None:
        if self.steps > self._made:
            self._made = self.steps
            self._frames.resize(self._shape(self._made))
        self._frames[key] = stored

    def _close(self) -> None:
        if self.steps < self._made:
            self._frames.resize(self._shape(self.steps))
        with warnings.catch_warnings():  # that version 3 does not have it; xarray warns where it is not there
            warnings.simplefilter("ignore")
            self._library.consolidate_metadata(self._root.store, zarr_format=self._version)

    def _array(
        self,
        name: str,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: Any,
        dims: tuple[str, ...],
        fill: Any,
        attributes: Mapping[str, Any],
    ) -> Any:
        """An array with names for its axes and a value for what is missing, where xarray looks for both."""
        written = _json(attributes)
        if self._version == 2:
            written["_ARRAY_DIMENSIONS"] = list(dims)
        elif fill is not None:
            written["_FillValue"] = _encoded(fill)
        return self._group.create_array(
            name,
            shape=shape,
            chunks=tuple(max(size, 1) for size in chunks),
            dtype=dtype,
            dimension_names=dims if self._version == 3 else None,
            fill_value=fill,
            attributes=written,
        )


def _encoded(fill: Any) -> Any:
    """A number as xarray writes it into the attributes of version 3: floats in base 64."""
    value = np.asarray(fill).item()
    return base64.b64encode(struct.pack("<d", value)).decode() if isinstance(value, float) else value


def _json(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON holds them."""
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in attributes.items()}
