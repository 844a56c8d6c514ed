"""File names as text with numbers in it."""

import functools
import re
import unicodedata
from typing import NamedTuple

from convlstm_cli.video.sequences.dates import MONTH_BEFORE_DIGIT, Calendar, Kind, Stamp, read_stamp

HASH = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?=[0-9]*[a-fA-F])(?=[a-fA-F]*[0-9])[0-9a-fA-F]{16,})(?![0-9A-Za-z])"
)
"""Checksums and UUIDs, whose digits are no numbers."""


MARKS: dict[Kind, str] = {"number": "{}", "day": "{d}", "moment": "{m}", "clock": "{c}"}
"""What stands for a number of each kind in a skeleton."""


class Reading(NamedTuple):
    """How the ambiguous parts of names are read."""

    calendar: Calendar = "none"
    fractions: bool = False
    """Whether three or six digits behind a date and a dash or underscore are fractions of a second."""
    decimals: bool = False
    """Whether 0.05 is a number, and not two with a point between."""
    signs: bool = False
    """Whether -5 is below zero, and not 5 behind a dash."""
    thousands: bool = False
    """Whether 1,000 is a thousand, also with a point, a space, an underscore or an apostrophe."""
    zones: bool = False
    """Whether times have to be brought to UTC, since their time zones differ."""
    exponents: bool = False
    """Whether 1e2 is a hundred. 1e-2 and 1e+2 always are numbers."""


class Slot(NamedTuple):
    """A number of a name."""

    start: int
    stop: int
    """Its characters in the stem are those from `start` to before `stop`."""
    value: int | float
    kind: Kind
    """Values of dates and times are in microseconds."""
    word: str
    """The letters directly before it, or before one separator, in lower case."""


class ParsedName(NamedTuple):
    """A file name in its parts."""

    name: str
    stem: str
    suffix: str
    """In lower case, with its dot."""
    skeleton: str
    """The stem with a mark for every number, in lower case: equal for names that differ in numbers only."""
    slots: tuple[Slot, ...]


_INNER = re.compile(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{0,4}$")
"""The suffix of what a compressed file holds."""
_HASHED = re.compile("#+")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"([^\W\d_]+)[^\w]?_?$")


@functools.cache
def _number(reading: Reading) -> re.Pattern[str]:
    fraction = r"\d+(?:[.,]\d+)?(?![.,]?\d)" if reading.decimals else r"\d+"
    power = r"\d+(?:[.,]\d+)?[eE][-+]\d+(?![\da-zA-Z])"
    grouped = r"[1-9]\d{0,2}(?:(?P<comma>[.,_ '])\d{3})(?:(?P=comma)\d{3})*(?![.,]?\d)|" if reading.thousands else ""
    plain_power = r"|(?<![a-zA-Z])\d+(?:[.,]\d+)?[eE]\d+(?![\da-zA-Z])" if reading.exponents else ""
    return re.compile(rf"{grouped}{power}{plain_power}|(?<!\d[.,]){fraction}|\d+")


def parse(name: str, reading: Reading) -> ParsedName:
    """A file name in its parts, as a reading has them."""
    stem, suffix = split_suffix(name)
    text = HASH.sub(lambda found: "#" * len(found[0]), unicodedata.normalize("NFC", stem))
    slots: list[Slot] = []
    pieces: list[str] = []
    end = 0
    while (digit := _DIGIT.search(text, end)) is not None:
        slot = _named_date(text, digit.start(), end, reading) or _slot(text, digit.start(), end, reading)
        pieces += (text[end : slot.start], MARKS[slot.kind])
        slots.append(slot)
        end = slot.stop
    pieces.append(text[end:])
    return ParsedName(name, text, suffix.lower(), _HASHED.sub("#", "".join(pieces).casefold()), tuple(slots))


def split_suffix(name: str) -> tuple[str, str]:
    """A file name before its last dot, and from it on; `.gz` belongs to the suffix before it, as in `.pgm.gz`."""
    stem, dot, suffix = name.rpartition(".")
    if suffix.lower() == "gz" and (inner := _INNER.search(stem)) is not None:
        return stem[: inner.start()], stem[inner.start() :] + dot + suffix
    return (stem, dot + suffix) if stem else (name, "")


def _named_date(text: str, digit: int, end: int, reading: Reading) -> Slot | None:
    """The date that begins with the name of a month before the digit at `digit`; None where there is none."""
    if reading.calendar not in ("months", "month first"):
        return None
    month = next((found for found in MONTH_BEFORE_DIGIT.finditer(text, end) if found.end() == digit), None)
    stamp = None if month is None else _stamp(text, month.start(), reading)
    return None if month is None or stamp is None else Slot(month.start(), stamp.stop, *stamp[1:], "")


def _stamp(text: str, start: int, reading: Reading) -> Stamp | None:
    return read_stamp(text, start, reading.calendar, fractions=reading.fractions, zones=reading.zones)


def _slot(text: str, digit: int, end: int, reading: Reading) -> Slot:
    """The number whose first digit is at `digit`, in a text that is read up to `end`."""
    before = _WORD.search(text, end, digit)
    word = before[1].casefold() if before is not None else ""
    if (stamp := _stamp(text, digit, reading)) is not None:
        return Slot(digit, stamp.stop, stamp.microseconds, stamp.kind, word)
    signed = reading.signs and digit > end and text[digit - 1] in "+-"
    number = _number(reading).match(text, digit)
    assert number is not None  # it is at a digit
    is_grouped = reading.thousands and number["comma"] is not None
    digits = number[0].replace(number["comma"], "") if is_grouped else number[0].replace(",", ".")
    value = int(digits) if digits.isdecimal() else float(digits)
    start = digit - 1 if signed else digit
    return Slot(start, number.end(), -value if signed and text[start] == "-" else value, "number", word)
