"""Times of frames by a coordinate, as the CF conventions write them (1.11, section 4.4): `minutes since 2024-05-01`."""

import itertools
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError

UNITS = {
    "microsecond": 1e-6, "microsec": 1e-6, "us": 1e-6, "millisecond": 1e-3, "millisec": 1e-3, "msec": 1e-3, "ms": 1e-3,
    "nanosecond": 1e-9, "ns": 1e-9, "second": 1.0, "sec": 1.0, "s": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0,
    "hr": 3600.0, "h": 3600.0, "day": 86400.0, "d": 86400.0, "week": 604800.0,
}  # fmt: skip
"""Seconds of each unit of time, without the s of its plural. Months and years have no fixed length."""
CALENDARS = ("", "standard", "gregorian", "proleptic_gregorian", "none")
"""Calendars whose dates are those of Python's `datetime`, since 1582."""
_SINCE = re.compile(r"(?P<unit>[a-z]+)(?:\s+since\s+(?P<date>.+))?", re.IGNORECASE)
_DATE = re.compile(r"(\d+)-(\d+)-(\d+)(?:[ T]+(\d+)(?::(\d+)(?::(\d+)(?:\.(\d+))?)?)?)?\s*(Z|UTC|[-+]\d+(?::?\d+)?)?")


class Clock(NamedTuple):
    """Times of frames."""

    times: tuple[float, ...]
    """Seconds from the first frame to each, rising."""
    start: datetime | None
    """Date and time of the first frame; None where the coordinate has none, or another calendar."""
    order: tuple[int, ...] | None
    """Positions on the time axis in the order of the times; None where that is theirs."""


def clock_of(values: Sequence[Any] | NDArray[Any], unit: str, calendar: str, source: str) -> Clock | None:
    """The times that the values of a coordinate stand for; None where its unit is none of time, or two are the same.

    Raises InputError for times that are missing or not finite.
    """
    written, seconds = _SINCE.fullmatch(unit.strip()), unit_seconds(unit)
    if written is None or seconds is None:
        return None
    ticks = np.asarray(values).ravel().astype(np.float64)
    if not np.isfinite(ticks).all():
        raise InputError(f"{source}: holds times that are missing or infinite; correct them.")
    order = np.argsort(ticks, kind="stable")
    ticks = ticks[order]
    times = tuple(round(float(tick), 6) for tick in (ticks - ticks[0]) * seconds)
    if any(after <= before for before, after in itertools.pairwise(times)):
        return None
    start = None
    if written["date"] is not None and calendar.lower() in CALENDARS:
        start = _moment(written["date"], float(ticks[0]) * seconds)
    rising = bool((order == np.arange(len(order))).all())
    return Clock(times, start, None if rising else tuple(map(int, order)))


def unit_seconds(unit: str) -> float | None:
    """Seconds of a unit such as `minutes since 2024-05-01`; None for one that is none of time."""
    written = _SINCE.fullmatch(unit.strip())
    name = "" if written is None else written["unit"].lower()
    return UNITS.get(name) or UNITS.get(name.removesuffix("s"))


def _moment(date: str, seconds: float) -> datetime | None:
    """The moment some seconds after a date, in UTC and without a time zone, as names of files have it."""
    found = _DATE.fullmatch(date.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found[group] or 0) for group in range(1, 7))
    try:
        begin = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        return (begin - _zone(found[8]) + timedelta(seconds=seconds)).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timedelta:
    if text is None or text in ("Z", "UTC"):
        return timedelta(0)
    digits = text[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    return (-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes)
