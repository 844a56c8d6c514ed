"""What the numbers of frames mean: the types of pixels, and the range that becomes [0, 1] for the network.

The one place that maps values. Imports no torch and no OpenCV.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError, UsageError

Array: TypeAlias = Any
"""A numpy array or a torch tensor of floats."""

# fmt: off
TYPES = frozenset({"bool", "uint8", "uint16", "int16", "int32", "float16", "float32", "float64"})
"""Types of pixels that frames keep."""
KEPT_AS = {"int8": "int16", "uint32": "float64", "int64": "float64", "uint64": "float64", "longdouble": "float64"}
"""Types that become another one, which holds their numbers (above 2^53 rounded)."""
# fmt: on
DECADES = 255.0
"""A logarithmic range maps x in [0, 1] to log(1 + DECADES x) / log(1 + DECADES): about linear below 1 / DECADES."""
SLACK = 2.0**-20
"""What a share may lie below a threshold's and still reach it, since values and thresholds are rounded apart. Shares of
8-bit pictures, which are exact, have none."""
DESCRIBED = 8
"""Bands whose ranges are written out for people."""


@dataclass(frozen=True)
class ValueRange:
    """The values that become 0 and 1 for the network. Raises ValueError unless `low` < `high`, both finite."""

    low: float
    high: float
    unit: str = ""
    """Unit of the values; empty where it is not known."""
    log: bool = False
    """Whether the map is logarithmic, which spreads the small values above `low`."""
    bands: tuple["ValueRange", ...] = ()
    """The ranges of channels of different kinds, as the bands of a satellite; empty where one range holds for all. Then
    arrays are (..., C), and errors are in shares of each range: `low` and `high` are 0 and 1, without a unit."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range of values from {self.low} to {self.high}")
        if self.bands and (self.low, self.high, self.unit, self.log) != (0.0, 1.0, "", False):
            raise ValueError("ranges of bands with a common one")

    @classmethod
    def of_bands(cls, bands: Sequence["ValueRange"]) -> Self:
        """The ranges of channels of different kinds, in their order."""
        return cls(0.0, 1.0, bands=tuple(bands))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The range of a record by `to_dict`. Raises ValueError for one that cannot be."""
        return cls(**{**record, "bands": tuple(ValueRange.from_dict(band) for band in record.get("bands", ()))})

    def to_dict(self) -> dict[str, Any]:
        """What records say of it."""
        record = asdict(self)
        bands = record.pop("bands")
        return {**record, "bands": [band.to_dict() for band in self.bands]} if bands else record

    @property
    def is_bytes(self) -> bool:
        """Whether it is that of 8-bit pictures, which need no mapping."""
        return (self.low, self.high, self.log) == (0.0, 255.0, False)

    @property
    def span(self) -> float:
        """`high` - `low`."""
        return self.high - self.low

    @property
    def as_shares(self) -> bool:
        """Whether people give and read its values as shares in [0, 1]: those of 8-bit pictures without a unit."""
        return self.is_bytes and not self.unit

    @property
    def first(self) -> "ValueRange":
        """That of the first channel."""
        return self.bands[0] if self.bands else self

    @property
    def scored_span(self) -> float:
        """The difference, in the numbers that people read, between what is 0 and 1 for the network."""
        return 1.0 if self.as_shares else self.span

    def to_unit(self, values: Array, *, clipped: bool = True) -> Array:
        """Values in [0, 1]; NaN stays.

        Those outside the range are clipped. Not `clipped`, they lie outside [0, 1], but for those below a logarithmic
        range, which has no numbers for them.
        """
        if self.bands:
            bands = enumerate(self.bands)
            return np.stack([band.to_unit(values[..., at], clipped=clipped) for at, band in bands], axis=-1)
        linear = (values - self.low) / self.span
        return self.share_of(linear.clip(0.0 if clipped or self.log else -math.inf, 1.0 if clipped else math.inf))

    def from_unit(self, shares: Array) -> Array:
        """The values of [0, 1], the inverse of `to_unit`."""
        if self.bands:
            return np.stack([band.from_unit(shares[..., at]) for at, band in enumerate(self.bands)], axis=-1)
        return self.linear(shares) * self.span + self.low

    def linear(self, shares: Array) -> Array:
        """Shares of the network as shares of `span`, which differ where the map is logarithmic."""
        return _expm1(shares * math.log1p(DECADES)) / DECADES if self.log else shares

    def share_of(self, linear: Array) -> Array:
        """The network's shares of shares of `span`, the inverse of `linear`."""
        return _log1p(linear * DECADES) / math.log1p(DECADES) if self.log else linear

    def least_share(self, threshold: float) -> float:
        """The network's share from which values reach a threshold that a person gives, which lies in the range."""
        return threshold if self.as_shares else float(self.to_unit(np.float64(threshold))) - SLACK

    def check_inside(self, flag: str, value: float) -> None:
        """Raises UsageError, which names the option, for a threshold that all values of the range reach, or none."""
        if self.bands:
            raise UsageError(
                f"{flag} has {value:g} and each channel has a range of its own ({self.describe()}), so no value means "
                "the same in all of them; leave it out, or train on some of the --channels, or with one --range."
            )
        if self.as_shares and not 0 < value <= 1:
            raise UsageError(
                f"{flag} has {value:g}; values of 8-bit pictures lie in [0, 1], so give some above 0 and up to 1, such "
                "as 0.2,0.5."
            )
        if not self.as_shares and not self.low < value <= self.high:
            raise UsageError(
                f"{flag} has {value:g} and the values are {self.describe()}; give some above {self.low:.5g} and up to "
                f"{self.high:.5g}."
            )

    def doubt(self, unit: str, dtype: str) -> str | None:
        """Why values of a unit and type may not be those that this range is of, a clause; None where they may be."""
        if not self.unit or unit == self.unit or not (unit or dtype == "uint8"):
            return None
        found = f"is in {unit}" if unit else "holds 8-bit pictures"
        return f"{found}, and the training was on values in {self.unit}; its numbers are taken for such values"

    def describe(self, most: int | None = DESCRIBED) -> str:
        """Such as `0 to 80 mm/h, logarithmic`; of many bands the first, `most` at most."""
        if self.bands:
            more = f" | {len(self.bands[most:])} more" if most is not None and self.bands[most:] else ""
            return f"{' | '.join(band.describe() for band in self.bands[:most])}{more} by channel"
        return in_unit((self.low, self.high), self.unit) + ", logarithmic" * self.log


def unit_power(unit: str, power: int) -> str:
    """A unit, its square, or nothing, for a power of 1, 2 or 0: `mm/h`, `(mm/h)²`."""
    if not unit or power < 2:
        return unit if power else ""
    return f"{unit}²" if unit.isalpha() else f"({unit})²"


LEAST_INSIDE = 0.5
"""Share of values inside the range that is taken for them below which people are warned."""
BYTES = ValueRange(0.0, 255.0)
"""The range of 8-bit pictures."""


def declared(ends: tuple[float, float] | None, unit: str = "") -> ValueRange | None:
    """The range that a source declares; None where it declares none, or one that cannot be."""
    if ends is None or not (math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] < ends[1]):
        return None
    return ValueRange(*ends, unit)


def range_declared(ends: tuple[float, float] | None, dtype: str, unit: str = "") -> ValueRange | None:
    """The range of frames of a type, by what their source declares or else by the type; None where it is not known."""
    by_type = {"uint8": BYTES, "bool": ValueRange(0.0, 1.0, unit)}
    return declared(ends, unit) or by_type.get(dtype)


def in_unit(ends: tuple[float, float], unit: str) -> str:
    """Least and largest value in words, such as `0 to 80 mm/h`, and `0 to 0.8` for the unit `1` of CF."""
    return f"{ends[0]:.5g} to {ends[1]:.5g} {'' if unit == '1' else unit}".rstrip()


def native(pixels: NDArray[np.generic], source: str) -> NDArray[Any]:
    """Pixels of one of `TYPES` in the machine's byte order, with masked ones as NaN.

    Raises InputError, which begins with `source`, for a type whose numbers cannot be kept.
    """
    # numpy.ma, which takes 10 ms to import, is not asked about plain arrays.
    if type(pixels) is not np.ndarray and isinstance(pixels, np.ma.MaskedArray):
        floats = pixels.dtype if pixels.dtype.kind == "f" else np.float64
        pixels = np.ma.filled(pixels.astype(floats), np.nan)
    kept = np.dtype(KEPT_AS.get(pixels.dtype.name, pixels.dtype.name if pixels.dtype.name in TYPES else "V"))
    if kept.kind == "V":
        raise InputError(
            f"{source}: holds pixels of type {pixels.dtype}; save them as one of {', '.join(sorted(TYPES))}."
        )
    return pixels.astype(kept, copy=False)


def to_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Floats as another type of pixels, rounded and clipped where that holds no fractions."""
    if dtype.kind == "f":
        return values.astype(dtype)
    if dtype.kind == "b":
        return np.asarray(values >= 0.5)
    most = np.iinfo(dtype)
    return np.asarray(np.rint(values).clip(most.min, most.max), dtype)


def known(values: NDArray[Any], missing: float | None = None) -> NDArray[Any]:
    """The values that are neither NaN nor infinite nor `missing`, in one row."""
    found = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    return found if missing is None else found[found != missing]


def _log1p(values: Array) -> Array:
    return values.log1p() if hasattr(values, "log1p") else np.log1p(values)


def _expm1(values: Array) -> Array:
    return values.expm1() if hasattr(values, "expm1") else np.expm1(values)
