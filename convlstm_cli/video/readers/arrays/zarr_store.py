"""Zarr stores, folders of versions 2 and 3, through the library zarr."""

import base64
import contextlib
import json
import os
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.readers.arrays.labelled import Labelled, labelled_array, measured_first
from convlstm_cli.video.readers.arrays.npy import NUMBERS
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Stored
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.source import SourceFacts

MARKERS = ("zarr.json", ".zgroup", ".zarray")
"""A folder with one of these files is a store."""


class ZarrStore:
    """A zarr array or group; an array of an inner group has the name GROUP/ARRAY."""

    def __init__(self, path: Path, _source: Path) -> None:
        """Raises InputError, or DependencyError without zarr."""
        library = load_extra("zarr", "zarr", path)
        self._path = path
        try:
            with _without_warnings():
                store = library.open(str(path), mode="r")
                members = {"": store} if isinstance(store, library.Array) else dict(store.members(max_depth=None))
            self._all = {name: each for name, each in members.items() if isinstance(each, library.Array)}
            self._arrays = {name: each for name, each in self._all.items() if np.dtype(each.dtype).kind in NUMBERS}
            self._groups = {name: dict(each.attrs) for name, each in members.items() if name not in self._all}
            self._groups.setdefault("", dict(store.attrs))
        except Exception as error:  # zarr raises what it likes where metadata is damaged
            raise InputError(
                f"{path}: is damaged or not a zarr store ({str(error) or type(error).__name__}); copy it again."
            ) from error

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each array of numbers with rows and columns, measured ones first."""
        fitting = {name: array for name, array in self._arrays.items() if array.ndim >= 2 and array.size}
        kinds = {name: (np.dtype(array.dtype), dict(array.attrs)) for name, array in fitting.items()}
        return {name: tuple(fitting[name].shape) for name in measured_first(kinds)}

    def stored(self, name: str) -> Stored:
        """One of the arrays."""
        array = self._arrays[name]
        group = name.rpartition("/")[0]
        beside = {
            each.rpartition("/")[2]: self._labelled(each)
            for each in self._all
            if each.rpartition("/")[0] == group and each != name
        }
        labelled = self._labelled(name)
        source = f"{self._path}: {name}" if name else str(self._path)
        version: Literal[2, 3] = 2 if array.metadata.zarr_format == 2 else 3
        facts = SourceFacts("zarr", name, file_attributes=self._groups.get(group, {}), zarr_format=version)
        stored = labelled_array(labelled, beside, source, facts, chunk=tuple(array.chunks))
        if labelled.dims[0] != _unnamed(0):
            return stored
        return replace(stored, dims=None, facts=lambda: replace(stored.facts(), dims=None))

    def close(self) -> None:
        """Nothing stays open."""

    def _labelled(self, name: str) -> Labelled:
        array = self._all[name]
        with _without_warnings():
            metadata, attributes = array.metadata.to_dict(), dict(array.attrs)
        if "pickle" in json.dumps(metadata, default=str).lower():
            raise InputError(f"{self._path}: {name} is stored as Python pickles, which are never loaded; save numbers.")
        dims = attributes.get("_ARRAY_DIMENSIONS") or metadata.get("dimension_names")
        if not dims or None in dims or len(dims) != array.ndim:
            dims = [_unnamed(axis) for axis in range(array.ndim)]
        elif metadata["zarr_format"] == 2 and metadata["fill_value"] is not None:
            attributes.setdefault("_FillValue", array.fill_value)  # where xarray puts it in version 2
        if isinstance(fill := attributes.get("_FillValue"), str):
            attributes["_FillValue"] = _decoded(fill)
        return Labelled(
            tuple(map(str, dims)),
            tuple(array.shape),
            np.dtype(array.dtype),
            lambda key: np.asarray(array[key]),
            attributes,
        )


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr store."""
    return any((path / name).is_file() for name in MARKERS)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps zarr from warning of types whose description may change, such as text, which people cannot help."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification")
        yield


def _unnamed(axis: int) -> str:
    return f"unnamed {axis}"


def _decoded(fill: str) -> float | str:
    """The number that xarray writes in base 64 into version 3; the text itself where it is none."""
    try:
        (value,) = struct.unpack("<d", base64.b64decode(fill, validate=True))
        return float(value)
    except (ValueError, struct.error):
        return fill


def _files(path: Path) -> list[Path]:
    """All files of a store."""
    with reading(path):
        return sorted(Path(folder, name) for folder, _, names in os.walk(path) for name in names)


READER = array_reader("zarr", "zarr stores", frozenset({".zarr"}), ZarrStore, is_store=is_store, files=_files)
