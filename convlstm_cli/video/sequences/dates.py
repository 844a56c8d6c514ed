"""Dates and times of day in file names."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

Calendar = Literal["months", "days", "none"]
"""How dates are written: year, month and day; year and day of the year; or there are none."""
Kind = Literal["number", "day", "moment", "clock"]
"""What a number of a name is: a plain number, a date without and with a time of day, or a time of day alone."""

MICROSECONDS = 1_000_000
"""Microseconds in a second: the unit in which dates are kept, since it is exact in integers."""


class Stamp(NamedTuple):
    """A date or time of day in a name."""

    stop: int
    """Position behind its last character."""
    microseconds: int
    """Since 1970 began, or since midnight for a time of day alone."""
    kind: Kind


_DATE = r"(?P<year>(?:19|20)\d\d)(?P<mark>[-._]?)(?P<month>[01]\d)(?P=mark)(?P<day>[0-3]\d)"
_JOIN = r"(?:[ _-]?at[ _-]|[ _-]*[tT]?[ _-]*|[.])"
_CLOCK = (
    r"(?P<hour>\d\d|\d(?=[-._:h]))(?P<point>[-._:h]?)(?P<minute>[0-5]\d)"
    r"(?:(?P=point)[s]?(?P<second>[0-6]\d)(?:[.,]?(?P<fraction>\d{6}|\d{3})(?!\d))?)?"
)
_HALF = r"(?:[ _]?(?P<half>[aApP])[.]?[mM]\b)"
_END = r"[zZ]?(?!\d)"

_MONTHS = tuple(
    re.compile(pattern)
    for pattern in (
        f"{_DATE}{_JOIN}(?P<hour>[0-2]?\\d)h(?P<minute>[0-5]\\d)m(?P<second>[0-5]\\d)s?(?P<fraction>\\d{{3}})?(?!\\d)",
        f"{_DATE}{_JOIN}{_CLOCK}{_HALF}?{_END}",
        f"(?P<year>(?:19|20)\\d\\d)(?P<month>[01]\\d)(?P<day>[0-3]\\d)[tT]?(?P<hour>[0-2]\\d){_END}",
        f"{_DATE}[-_ ]?[tT](?P<hour>[0-2]\\d){_END}",
        f"{_DATE}(?!\\d)",
        r"(?P<year>(?:19|20)\d\d)[-._](?P<month>[01]\d)(?!\d)",
        r"(?P<day>[0-3]\d)(?P<mark>[-._])(?P<month>[01]\d)(?P=mark)(?P<year>(?:19|20)\d\d)" + f"{_JOIN}{_CLOCK}{_END}",
        r"(?P<day>[0-3]\d)(?P<mark>[-._])(?P<month>[01]\d)(?P=mark)(?P<year>(?:19|20)\d\d)(?!\d)",
    )
)
_DAYS = re.compile(
    r"(?P<year>(?:19|20)\d\d)[-._]?(?P<ordinal>[0-3]\d\d)"
    r"(?:[-._tT]?(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?:(?P<second>[0-6]\d)(?P<tenth>\d)?)?)?" + _END
)
_EPOCH = re.compile(r"(?P<digits>1(?:\d{18}|\d{15}|\d{12}|\d{9}(?:[.,](?P<fraction>\d{1,9}))?))(?!\d)")
"""Seconds (with or without a fraction), milli-, micro- or nanoseconds since 1970, of the years 2001 to 2033."""
_FRACTIONS = re.compile(
    _DATE + _JOIN + r"(?P<hour>\d\d)(?P<point>[-._:h]?)(?P<minute>[0-5]\d)(?P=point)(?P<second>[0-5]\d)"
    r"[-_](?P<fraction>\d{6}|\d{3})(?!\d)"
)
_TIMES_OF_DAY = (
    re.compile(rf"(?P<hour>\d\d?)(?:[-._:h]?(?P<minute>[0-5]\d)(?:[-._:](?P<second>[0-5]\d))?)?{_HALF}"),
    re.compile(
        r"(?P<hour>\d\d)(?:(?P<point>[-:.])(?P<minute>[0-5]\d)(?P=point)|h(?P<minutes>[0-5]\d)m)(?P<second>[0-5]\d)s?"
        r"(?:[-.,]?(?P<fraction>\d{6}|\d{3}))?(?![-:.]?\d)"
    ),
)


def read_stamp(text: str, start: int, calendar: Calendar, *, fractions: bool = False) -> Stamp | None:
    """The date or time of day that begins with the digit at `start`; None where there is none.

    Dates are YYYYMMDD, YYYY-MM-DD or DD-MM-YYYY with or without a time (compact, with T, separators or am/pm),
    YYYY-MM, YYYYDDD with `calendar` "days", and seconds since 1970 in 10 digits or thousandths of them in 13, 16
    or 19. With `fractions`, 3 or 6 digits behind a date and `_` or `-` are a part of a second. A time of day alone is
    HH-MM-SS (also with points, colons or h, m, s) or has am or pm; 12am is midnight.
    """
    for each in _TIMES_OF_DAY:
        clock = each.match(text, start)
        if clock is not None and (seconds := _seconds(clock)) is not None:
            return Stamp(clock.end(), seconds * MICROSECONDS + _fraction(clock.groupdict()), "clock")
    if calendar == "none":
        return None
    if fractions and (found := _checked(_FRACTIONS.match(text, start), _calendar_day)) is not None:
        return found
    if (epoch := _EPOCH.match(text, start)) is not None:
        whole = epoch["digits"].replace(",", ".").partition(".")[0]
        fraction = int((epoch["fraction"] or "0")[:6].ljust(6, "0"))
        return Stamp(epoch.end(), int(whole) * MICROSECONDS // 10 ** (len(whole) - 10) + fraction, "moment")
    if calendar == "days":
        return _checked(_DAYS.match(text, start), _ordinal_day)
    return next((found for each in _MONTHS if (found := _checked(each.match(text, start), _calendar_day))), None)


def moment(microseconds: int) -> datetime:
    """The date and time of a stamp, without a time zone, since names have none."""
    return datetime(1970, 1, 1) + timedelta(microseconds=microseconds)


def _checked(found: re.Match[str] | None, day_of: Callable[[dict[str, str]], datetime]) -> Stamp | None:
    if found is None:
        return None
    fields = {name: value for name, value in found.groupdict().items() if value is not None}
    try:
        day = day_of(fields)
    except ValueError:  # the 31st of June
        return None
    seconds = _seconds(found) if "hour" in fields else 0
    if seconds is None:
        return None
    since = int((day - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return Stamp(
        found.end(), (since + seconds) * MICROSECONDS + _fraction(fields), "moment" if "hour" in fields else "day"
    )


def _calendar_day(fields: dict[str, str]) -> datetime:
    return datetime(int(fields["year"]), int(fields["month"]), int(fields.get("day", 1)), tzinfo=UTC)


def _ordinal_day(fields: dict[str, str]) -> datetime:
    day = datetime(int(fields["year"]), 1, 1, tzinfo=UTC) + timedelta(days=int(fields["ordinal"]) - 1)
    if day.year != int(fields["year"]):
        raise ValueError("no such day")
    return day


def _fraction(fields: Mapping[str, str | None]) -> int:
    """Microseconds of the digits behind the seconds."""
    return int((fields.get("fraction") or fields.get("tenth") or "0").ljust(6, "0"))


def _seconds(found: re.Match[str]) -> int | None:
    """Seconds since midnight; None for hours that no clock shows."""
    fields = found.groupdict()
    hour, second = (int(fields.get(unit) or 0) for unit in ("hour", "second"))
    minute = int(fields.get("minute") or fields.get("minutes") or 0)
    if half := fields.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half in "pP")
    return hour * 3600 + minute * 60 + second if hour < 24 and second <= 60 else None
