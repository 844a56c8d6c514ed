"""Numbers as people read them, in terminal and reports: decimals, percentages, bytes, seconds, p values."""

import math
from collections.abc import Callable, Sequence
from typing import Any

MOST_DIGITS = 8
"""Decimals that fit into a column."""
FIGURES = 5
"""Digits before the decimal point, less one, from which on a large error has no more than one decimal."""
MOST_TIMES = 1000
"""Largest ratio that is given as a figure."""


def number(value: float | None, digits: int = 5, missing: str = "-") -> str:
    """A decimal number with a true minus sign; `missing` for None, NaN and infinity."""
    return missing if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def figure(value: float | None, unit: str = "") -> str:
    """An error with its unit, to five decimals, or fewer for a large one."""
    digits = FIGURES if value is None or not math.isfinite(value) else digits_of(value, FIGURES)
    return f"{number(value, digits)} {unit}".rstrip()


def digits_of(value: float, most: int) -> int:
    """Decimals of an error: `most` below 10, fewer of a larger one."""
    return most if abs(value) < 10 else min(most, max(1, FIGURES - math.floor(math.log10(abs(value)))))


def rounded(value: float) -> str:
    """A count or a rate of three figures, written out below a million."""
    return f"{float(f'{value:.3g}'):g}"


def percent(value: float | None, digits: int = 2) -> str:
    """A share as a signed percentage."""
    return "-" if value is None else f"{100 * value:+.{digits}f} %".replace("-", "−")


def share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage without a sign."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def interval(ends: Sequence[float | None] | None, form: Callable[..., str] = number, *args: Any) -> str:
    """Both ends of an interval, formatted by `form`."""
    return "no interval" if ends is None else f"{form(ends[0], *args)} to {form(ends[1], *args)}"


def chance(value: float | None) -> str:
    """A p value; small ones as a bound."""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def times(ratio: float) -> str:
    """How many times something is something else; beyond `MOST_TIMES` the figure is that of rounding errors."""
    if 0 < ratio < 0.01:
        return "less than 0.01 times"
    return f"over {MOST_TIMES:,} times" if ratio > MOST_TIMES else f"{ratio:.2f} times"


def duration(value: float | None) -> str:
    """Seconds as milliseconds, seconds or minutes."""
    if value is None:
        return "-"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def size(value: float | None) -> str:
    """Bytes as MB or GB (powers of ten)."""
    if value is None:
        return "-"
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "figure": figure,
    "percent": percent,
    "share": share,
    "percents": lambda ends: interval(ends, percent),
    "ends": lambda ends, *form: interval(ends, number, *form),
    "chance": chance,
    "size": size,
    "duration": duration,
}
"""Filters of the templates."""
