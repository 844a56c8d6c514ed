"""Values in their unit from stored ones: scale, offset, missing values and unit that a file declares beside an array.

Integers without scale and offset stay as they are, and the reader names the value that stands for no measurement.
Others become floats: float32, or float64 for integers of 4 bytes and more, with NaN where nothing was measured.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError

Values = NDArray[Any]


@dataclass(frozen=True)
class Packing:
    """How values are stored."""

    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()
    """Stored values that stand for no measurement."""
    lowest: float | None = None
    """The stored value that stands for less than can be measured, which is read as the offset."""
    valid: tuple[float, float] | None = None
    """Lowest and highest valid stored value."""
    unsigned: bool = False
    """Whether signed integers are meant without a sign."""

    @property
    def is_scaled(self) -> bool:
        """Whether values differ from stored ones."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def declared_range(self) -> tuple[float, float] | None:
        """Lowest and highest valid value in the unit."""
        if self.valid is None:
            return None
        low, high = sorted(self.scale * end + self.offset for end in self.valid)
        return low, high

    def missing_value(self, dtype: np.dtype[Any]) -> float | None:
        """The value that stands for no measurement among the values of an array of a stored type; None for NaN."""
        if dtype.kind not in "iu" or self.is_scaled or not (missing := self._missing_of(dtype)):
            return None
        bits = 8 * dtype.itemsize if self.unsigned and missing[0] < 0 else 0
        return float(missing[0] + (2**bits if bits else 0))

    def fill_value(self, dtype: np.dtype[Any]) -> Any:
        """The value of a stored type that stands for no measurement: NaN for floats without another; None for none."""
        missing = self._missing_of(dtype)
        if not missing:
            return dtype.type(math.nan) if dtype.kind == "f" else None
        return dtype.type(missing[0])

    def _missing_of(self, dtype: np.dtype[Any]) -> list[float | int]:
        """The missing values as an array of this type stores them, without those that it cannot hold."""
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                return [float(dtype.type(value)) for value in self.missing]
        if dtype.kind not in "iu":
            return []
        info = np.iinfo(dtype)
        return [int(value) for value in self.missing if value.is_integer() and info.min <= value <= info.max]

    def to_values(self, raw: Values) -> Values:
        """Values in the unit, of the same shape."""
        missing = self._missing_of(raw.dtype)
        gaps = np.isin(raw, missing) if missing else None
        if gaps is not None and raw.dtype.kind in "iu" and len(missing) > 1:
            raw = np.where(gaps, np.asarray(missing[0], raw.dtype), raw)
        if self.unsigned and raw.dtype.kind == "i":
            raw = raw.view(f"u{raw.dtype.itemsize}")
        if raw.dtype.kind in "iub" and not self.is_scaled:
            return raw
        wide = raw.dtype.itemsize > (4 if raw.dtype.kind == "f" else 2)
        values = raw.astype(np.float64)
        if self.lowest is not None:
            values[raw == self.lowest] = 0.0
        if self.is_scaled:
            values = values * self.scale + self.offset
        if gaps is not None:
            values[gaps] = math.nan
        return values.astype(raw.dtype if raw.dtype.kind == "f" else np.float64 if wide else np.float32)

    def to_stored(self, values: Values, dtype: np.dtype[Any]) -> Values:
        """Values in the unit as an array of a stored type holds them, the inverse of `to_values`.

        What the type cannot hold is rounded and clipped; NaN becomes the first missing value. A value that is known
        never becomes that one: it moves by one step. Raises ValueError for NaN where integers have no missing value.
        """
        gaps = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        missing = self._missing_of(dtype)
        if not self.is_scaled and (values.dtype == dtype or values.dtype.kind in "iub"):
            stored = self._held(values, dtype)
        else:
            stored = self._held((values.astype(np.float64) - self.offset) / self.scale, dtype)
            if missing and dtype.kind in "iu" and self.is_scaled:
                step = -1 if missing[0] > 0 else 1
                stored = np.where((stored == missing[0]) & ~gaps, np.asarray(missing[0] + step, dtype), stored)
        if not gaps.any() or (dtype.kind == "f" and not missing):
            return stored
        if not missing:
            raise ValueError(f"missing pixels, and {dtype} has no value for them")
        return np.where(gaps, np.asarray(missing[0], dtype), stored)

    def _held(self, values: Values, dtype: np.dtype[Any]) -> Values:
        """Stored values, not yet of their type, rounded and clipped to it."""
        if dtype.kind not in "iu":
            return values.astype(dtype)
        held = np.dtype(f"u{dtype.itemsize}") if self.unsigned else dtype
        limits = np.iinfo(held)
        if values.dtype.kind == "f":
            low, high = float(limits.min), np.nextafter(float(limits.max), 0.0) if held.itemsize == 8 else limits.max
            values = np.rint(np.nan_to_num(values.astype(np.float64))).clip(low, high)
        elif values.dtype.kind in "iu":
            most = np.iinfo(values.dtype)
            values = values.clip(max(limits.min, most.min), min(limits.max, most.max))
        return values.astype(held).view(dtype)


def cf_packing(attributes: Mapping[str, Any], source: str) -> Packing:
    """The packing by the attributes of the CF conventions (1.11, sections 2.5 and 8.1).

    Values outside of the valid range are kept. Raises InputError for attributes that make no sense.
    """
    missing: list[float] = []
    for name in ("_FillValue", "missing_value"):
        missing += _numbers(attributes, name, source)
    valid = _numbers(attributes, "valid_range", source)
    if not valid:
        valid = [*_numbers(attributes, "valid_min", source), *_numbers(attributes, "valid_max", source)]
    unsigned = text(attributes.get("_Unsigned", "")).lower() == "true"
    if unsigned:
        valid = [value + _wrap(attributes) if value < 0 else value for value in valid]
    return Packing(
        unit=text(attributes.get("units", attributes.get("unit", ""))),
        scale=checked_scale(_one(attributes, "scale_factor", 1.0, source), source),
        offset=_one(attributes, "add_offset", 0.0, source),
        missing=tuple(dict.fromkeys(value for value in missing if not math.isnan(value))),
        valid=(valid[0], valid[1]) if len(valid) == 2 and all(map(math.isfinite, valid)) else None,
        unsigned=unsigned,
    )


def _wrap(attributes: Mapping[str, Any]) -> int:
    """By how much a valid value without a sign exceeds one that was stored with it."""
    name = next(each for each in ("valid_range", "valid_min", "valid_max") if each in attributes)
    return int(2 ** (8 * np.asarray(attributes[name]).dtype.itemsize))


def text(value: Any) -> str:
    """An attribute as text; empty for one that is none."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else ""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value.strip("\0 ") if isinstance(value, str) else ""


def numbers(value: Any, name: str, source: str) -> list[float]:
    """An attribute as numbers. Raises InputError where it is none."""
    try:
        found = np.asarray(value).ravel()
        found = found.astype(str) if found.dtype.kind in "SO" else found
        return [float(each) for each in found]
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: has the attribute {name} = {value!r}, which is no number; correct it.") from error


def checked_scale(scale: float, source: str) -> float:
    """A scale. Raises InputError for one that makes all values the same."""
    if scale == 0 or not math.isfinite(scale):
        raise InputError(f"{source}: is to be scaled by {scale}, which no value survives; correct its attributes.")
    return scale


def _numbers(attributes: Mapping[str, Any], name: str, source: str) -> list[float]:
    return numbers(attributes[name], name, source) if name in attributes else []


def _one(attributes: Mapping[str, Any], name: str, usual: float, source: str) -> float:
    found = _numbers(attributes, name, source)
    return found[0] if found else usual
