"""Dates and times of day in file names."""

import functools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

Calendar = Literal["months", "month first", "days", "year month", "ymd", "dmy", "mdy", "md", "clock", "none"]
"""How dates are written.

months: years of four digits, with the month and day behind them or DD-MM-YYYY. month first: the same, but MM-DD-YYYY.
days: year and day of the year. year month: YYYYMM. ymd, dmy, mdy: six digits, those of the year two. md: MMDDHHMM.
clock: HHMM and HHMMSS. none: there are no dates.
"""
Kind = Literal["number", "day", "moment", "clock"]
"""What a number of a name is: a plain number, a date without and with a time of day, or a time of day alone."""

MICROSECONDS = 1_000_000
"""Microseconds in a second: the unit in which dates are kept, since it is exact in integers."""


class Form(NamedTuple):
    """A pattern that is compiled at its first use: to compile all takes 20 ms, and most names hold no date."""

    pattern: str
    flags: int = 0

    def match(self, text: str, start: int) -> re.Match[str] | None:
        """As `re.Pattern.match`."""
        return _compiled(*self).match(text, start)


_compiled = functools.lru_cache(maxsize=None)(re.compile)


class Stamp(NamedTuple):
    """A date or time of day in a name."""

    stop: int
    """Position behind its last character."""
    microseconds: int
    """Since 1970 began, or since midnight for a time of day alone."""
    kind: Kind


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_MARK = r"[-._, ]{0,2}"
MONTH_BEFORE_DIGIT = re.compile(rf"(?<![^\W\d_]){_MONTH}{_MARK}(?=\d)", re.IGNORECASE)
"""The name of a month with which a date may begin."""
_DATE = r"(?P<year>(?:19|20)\d\d)(?P<mark>[-._]?)(?P<month>[01]\d)(?P=mark)(?P<day>[0-3]\d)"
_JOIN = r"(?:[ _-]?at[ _-]|[ _-]*[tT]?[ _-]*|[.])"
_CLOCK = (
    r"(?P<hour>\d\d|\d(?=[-._:h]))(?P<point>[-._:h]?)(?P<minute>[0-5]\d)"
    r"(?:(?P=point)[s]?(?P<second>[0-6]\d)(?:[.,]?(?P<fraction>\d{6}|\d{3})(?!\d))?)?"
)
_HALF = r"(?:[\s_]?(?P<half>[aApP])[.]?[mM]\b)"
_END = r"[zZ]?(?!\d)"
ZONE = re.compile(r"(?:[+](?:0\d|1[0-4]):?|-(?:0\d|1[0-2]):)(?:00|15|30|45)(?!\d)")
"""How far the clock of a time zone is ahead of UTC, behind a time."""

_MONTHS = tuple(
    Form(pattern)
    for pattern in (
        f"{_DATE}{_JOIN}(?P<hour>[0-2]?\\d)h(?P<minute>[0-5]\\d)m(?P<second>[0-5]\\d)s?(?P<fraction>\\d{{3}})?(?!\\d)",
        f"{_DATE}{_JOIN}{_CLOCK}{_HALF}?{_END}",
        f"(?P<year>(?:19|20)\\d\\d)(?P<month>[01]\\d)(?P<day>[0-3]\\d)[tT]?(?P<hour>[0-2]\\d){_END}",
        f"{_DATE}[-_ ]?[tT](?P<hour>[0-2]\\d){_END}",
        f"{_DATE}(?!\\d)",
        r"(?P<year>(?:19|20)\d\d)(?P<mark>[-._])(?P<month>1[0-2]|[1-9])(?P=mark)(?P<day>[12]\d|3[01]|[1-9])"
        f"(?:{_JOIN}{_CLOCK}{_HALF}?{_END}|(?!\\d))",
        r"(?P<year>(?:19|20)\d\d)[-._](?P<month>[01]\d|[1-9])(?!\d)",
        r"(?P<year>(?:19|20)\d\d)[-_]?[wW](?P<week>[0-5]\d)(?:-?(?P<weekday>[1-7]))?(?!\d)",
        r"(?P<year>(?:19|20)\d\d)[-_ ]?[qQ](?P<quarter>[1-4])(?!\d)",
    )
)
_NAMED = tuple(
    Form(pattern + f"(?:{_JOIN}{_CLOCK}{_HALF}?{_END}|(?!\\d))", re.IGNORECASE)
    for pattern in (
        rf"(?P<year>(?:19|20)\d\d){_MARK}{_MONTH}{_MARK}(?P<day>[0-3]?\d)(?!\d)",
        rf"(?P<day>[0-3]?\d){_MARK}{_MONTH}{_MARK}(?P<year>(?:19|20)\d\d)",
        rf"{_MONTH}{_MARK}(?P<day>[0-3]?\d)(?!\d){_MARK}(?P<year>(?:19|20)\d\d)",
        rf"(?P<year>(?:19|20)\d\d){_MARK}{_MONTH}(?![^\W\d_])",
        rf"{_MONTH}{_MARK}(?P<year>(?:19|20)\d\d)",
    )
)
_YEAR_LAST_FORMS: dict[Calendar, tuple[str, str]] = {
    "months": (r"(?P<day>[0-3]\d)", r"(?P<month>[01]\d)"),
    "month first": (r"(?P<month>[01]?\d)", r"(?P<day>[0-3]?\d)"),
}
_YEAR_LAST = {
    calendar: Form(
        rf"{first}(?P<mark>[-._]){second}(?P=mark)(?P<year>(?:19|20)\d\d)(?:{_JOIN}{_CLOCK}{_HALF}?{_END}|(?!\d))"
    )
    for calendar, (first, second) in _YEAR_LAST_FORMS.items()
}
_SHORT_FORMS: dict[Calendar, str] = {
    "ymd": r"(?P<short>\d\d)(?P<mark>[-._]?)(?P<month>[01]\d)(?P=mark)(?P<day>[0-3]\d)",
    "dmy": r"(?P<day>[0-3]\d)(?P<mark>[-._]?)(?P<month>[01]\d)(?P=mark)(?P<short>\d\d)",
    "mdy": r"(?P<month>[01]\d)(?P<mark>[-._]?)(?P<day>[0-3]\d)(?P=mark)(?P<short>\d\d)",
    "year month": r"(?P<year>(?:19|20)\d\d)(?P<month>[01]\d)",
    "md": r"(?P<month>[01]\d)(?P<day>[0-3]\d)(?=\d{4})",
}
_SHORT = {
    calendar: Form(rf"{form}(?:[-_ tT]?(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?P<second>[0-5]\d)?)?(?!\d)")
    for calendar, form in _SHORT_FORMS.items()
}
_CLOCKS = Form(r"(?P<hour>[0-2]\d)(?P<point>[-.:]?)(?P<minute>[0-5]\d)(?:(?P=point)(?P<second>[0-5]\d))?(?!\d)")
_DAYS = Form(
    r"(?P<year>(?:19|20)\d\d)[-._]?(?P<ordinal>[0-3]\d\d)"
    r"(?:[-._tT]?(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?:(?P<second>[0-6]\d)(?P<tenth>\d)?)?)?" + _END
)
_EPOCH = Form(r"(?P<digits>1(?:\d{18}|\d{15}|\d{12}|\d{9}(?:[.,](?P<fraction>\d{1,9}))?))(?!\d)")
"""Seconds (with or without a fraction), milli-, micro- or nanoseconds since 1970, of the years 2001 to 2033."""
_FRACTIONS = Form(
    _DATE + _JOIN + r"(?P<hour>\d\d)(?P<point>[-._:h]?)(?P<minute>[0-5]\d)(?P=point)(?P<second>[0-5]\d)"
    r"[-_](?P<fraction>\d{6}|\d{3})(?!\d)"
)
_TIMES_OF_DAY = (
    Form(r"(?:(?P<hour>\d{1,2})h[ _-]?)?(?P<minute>\d{1,3})m[ _-]?(?P<second>[0-5]?\d)s(?![^\W_])"),
    Form(rf"(?P<hour>\d\d?)(?:[-._:h]?(?P<minute>[0-5]\d)(?:[-._:](?P<second>[0-5]\d))?)?{_HALF}"),
    Form(
        r"(?P<hour>\d\d)(?:(?P<point>[-:.])(?P<minute>[0-5]\d)(?P=point)|h(?P<minutes>[0-5]\d)m)(?P<second>[0-5]\d)s?"
        r"(?:[-.,]?(?P<fraction>\d{6}|\d{3}))?(?![-:.]?\d)"
    ),
)


def read_stamp(
    text: str, start: int, calendar: Calendar, *, fractions: bool = False, zones: bool = False
) -> Stamp | None:
    """The date or time of day that begins with the digit, or name of a month, at `start`; None where there is none.

    Dates are YYYYMMDD, YYYY-MM-DD or DD-MM-YYYY with or without a time (compact, with T, separators or am/pm), those
    with the English name of a month, YYYY-MM, YYYY-Www, YYYYQq, seconds since 1970 in 10 digits or thousandths of them
    in 13, 16 or 19, and what `calendar` adds. With `fractions`, 3 or 6 digits behind a date and `_` or `-` are a part
    of a second. With `zones`, times are in UTC where +HH:MM stands behind them. A time of day alone is HH-MM-SS (also
    with points, colons or h, m, s), MmSs, or has am or pm; 12am is midnight.
    """
    for each in _TIMES_OF_DAY:
        clock = each.match(text, start)
        if clock is not None and (seconds := _seconds(clock)) is not None:
            return Stamp(clock.end(), seconds * MICROSECONDS + _fraction(clock.groupdict()), "clock")
    if calendar == "none":
        return None
    if calendar == "clock":
        return _compact_clock(text, start)
    if fractions and (found := _checked(_FRACTIONS.match(text, start), _calendar_day)) is not None:
        return found
    if (short := _SHORT.get(calendar)) is not None:
        return _checked(short.match(text, start), _calendar_day, has_year=calendar != "md")
    if (epoch := _EPOCH.match(text, start)) is not None:
        whole = epoch["digits"].replace(",", ".").partition(".")[0]
        fraction = int((epoch["fraction"] or "0")[:6].ljust(6, "0"))
        return Stamp(epoch.end(), int(whole) * MICROSECONDS // 10 ** (len(whole) - 10) + fraction, "moment")
    if calendar == "days":
        return _checked(_DAYS.match(text, start), _ordinal_day)
    patterns = (*_NAMED, *_MONTHS, _YEAR_LAST[calendar])
    found = next((found for each in patterns if (found := _checked(each.match(text, start), _calendar_day))), None)
    return _in_utc(text, found) if zones and found is not None else found


def moment(microseconds: int) -> datetime:
    """The date and time of a stamp, without a time zone, since names have none."""
    return datetime(1970, 1, 1) + timedelta(microseconds=microseconds)


def _compact_clock(text: str, start: int) -> Stamp | None:
    """HHMMSS as a time of day; HHMM, which may be minutes and seconds, as a number that counts in sixties."""
    found = _CLOCKS.match(text, start)
    seconds = None if found is None else _seconds(found)
    if found is None or seconds is None:
        return None
    if found["second"] is None:
        return Stamp(found.end(), seconds // 60, "number")
    return Stamp(found.end(), seconds * MICROSECONDS, "clock")


def _in_utc(text: str, stamp: Stamp) -> Stamp:
    """A stamp without the time zone that stands behind it."""
    if (zone := ZONE.match(text, stamp.stop)) is None:
        return stamp
    minutes = int(zone[0][1:3]) * 60 + int(zone[0][-2:])
    ahead = minutes * 60 * MICROSECONDS * (1 if zone[0][0] == "+" else -1)
    return Stamp(zone.end(), stamp.microseconds - ahead, stamp.kind)


def _checked(
    found: re.Match[str] | None, day_of: Callable[[dict[str, str]], datetime], *, has_year: bool = True
) -> Stamp | None:
    """The stamp of a match, a time of day without a year; None where there is no such date."""
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
    kind: Kind = "clock" if not has_year else "moment" if "hour" in fields else "day"
    return Stamp(found.end(), (since + seconds) * MICROSECONDS + _fraction(fields), kind)


def _calendar_day(fields: dict[str, str]) -> datetime:
    if "week" in fields:
        day = date.fromisocalendar(int(fields["year"]), int(fields["week"]), int(fields.get("weekday", 1)))
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    if "name" in fields:
        month = MONTHS.index(fields["name"][:3].lower()) + 1
    else:
        month = 3 * int(fields["quarter"]) - 2 if "quarter" in fields else int(fields["month"])
    return datetime(_year(fields), month, int(fields.get("day", 1)), tzinfo=UTC)


def _year(fields: dict[str, str]) -> int:
    """The year; of two digits one of 1970 to 2069; where there is none, one that has a 29th of February."""
    if "short" in fields:
        return int(fields["short"]) + (1900 if int(fields["short"]) >= 70 else 2000)
    return int(fields.get("year", 2000))


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
