"""How the ambiguous parts of a folder's names are read: the reading that makes the most consistent series."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from convlstm_cli.video.sequences.dates import MICROSECONDS, ZONE, Calendar
from convlstm_cli.video.sequences.names import MARKS, ParsedName, Reading, parse
from convlstm_cli.video.sequences.series import (
    MANY_HOLES,
    holes,
    in_order,
    irregular,
    order_slot,
    split_series,
    unrolled,
)

_DECIMAL = re.compile(r"(?<!\d[.,])(?<!\d)(?P<whole>\d+)[.,](?P<fraction>\d+)(?![.,]?\d)")
_DASHED = re.compile(r"(?<!\d)-\d")
_SIGN = re.compile(r"(?<![^_= (])-\d|(?<!\d)(?<!\d[eE])\+\d")
"""A leading or separated minus, or a plus: signs beyond doubt."""
_FRACTION = re.compile(r"\d\d[-_](?:\d{3}|\d{6})(?!\d)")
INDEX = 100_000
"""Microseconds from which digits behind a time are hardly the number of a camera or channel."""
_POWER = re.compile(r"(?<![a-zA-Z])\d[eE]\d")
_DATE = re.compile(r"(?:19|20)\d\d|1\d{9}")
_COMPACT = re.compile(r"(?<!\d)(?:\d{4}|\d{6}|\d{8}|\d{10}|\d{12}|\d\d[-._:]\d\d(?:[-._:]\d\d)?)(?!\d)")
"""What may be a date with a short year or without one, or a time of day."""
COMPACT: tuple[Calendar, ...] = ("year month", "ymd", "dmy", "mdy", "md", "clock")
"""The ways to read such names, the likeliest first."""
_THOUSANDS = re.compile(r"(?<!\d)[1-9]\d{0,2}[.,_ ']\d{3}(?!\d)")
_ORDINAL = re.compile(r"(?:19|20)\d{2}[-._]?[0-3]\d\d")

Series = list[list[ParsedName]]


def read_names(names: Sequence[str]) -> Series:
    """File names as series, each in order; a name that belongs to no series is one alone.

    Dates are read where that splits the names into no more series than plain numbers do. Fractions, signs, exponents,
    thousands and short dates are read where the names leave no doubt, fall into fewer or more regular series.
    """
    zones = {zone[0] for name in names for zone in ZONE.finditer(name)}
    certain = Reading(signs=any(_SIGN.search(name) for name in names), zones=len(zones) > 1)
    readings = [certain._replace(calendar=calendar) for calendar in _calendars(names)]
    tries = [(each, _split(names, each)) for each in readings]
    fewest = min(len(series) for _, series in tries)
    reading, chosen = min(
        (tried for tried in tries if len(tried[1]) == fewest),
        key=lambda tried: (-_dated(tried[1]), _unevenness(tried[1])),
    )
    if any(map(_FRACTION.search, names)):
        tried = reading._replace(fractions=True)
        if len(other := _split(names, tried)) < len(chosen) and _are_fractions(other):
            reading, chosen = tried, other
    if any(_DECIMAL.search(name) for name in names):
        tried = reading._replace(decimals=True)
        if _are_decimals(other := _split(names, tried), chosen, certain=_is_unpadded(names)):
            reading, chosen = tried, other
    if not certain.signs and any(_DASHED.search(name) for name in names):
        tried = reading._replace(signs=True)
        if len(other := _split(names, tried)) < len(chosen):
            reading, chosen = tried, other
    if any(_POWER.search(name) for name in names):
        tried = reading._replace(exponents=True)
        if len(other := _split(names, tried)) < len(chosen):
            reading, chosen = tried, other
    for tried in _doubtful(names, reading, is_dated=_dated(chosen) > 0):
        if _is_better(other := _split(names, tried), chosen):
            chosen = other
    return [unrolled(files) for files in _with_first(_with_labels(chosen))]


def _doubtful(names: Sequence[str], reading: Reading, *, is_dated: bool) -> Iterator[Reading]:
    """Readings that are taken only where they make names more regular."""
    if any(map(_THOUSANDS.search, names)):
        yield reading._replace(thousands=True, decimals=False)
    if not is_dated and all(map(_COMPACT.search, names)):
        yield from (reading._replace(calendar=calendar) for calendar in COMPACT)


def _is_better(series: Series, than: Series) -> bool:
    """Whether series are fewer, or more regular, and in neither worse; never where they are mostly irregular."""
    found, other = ((len(each), sum(irregular(_values(files)) for files in each)) for each in (series, than))
    is_regular = found[1] <= MANY_HOLES * sum(map(len, series))
    return is_regular and found != other and found[0] <= other[0] and found[1] <= other[1]


def _unevenness(series: Series) -> tuple[int, int]:
    values = [_values(files) for files in series]
    return sum(map(irregular, values)), sum(len(holes(each)) for each in values)


def _values(files: Sequence[ParsedName]) -> list[int | float]:
    """The numbers by which names, in order, rise; none where no number does."""
    slot = order_slot(files)
    return [] if slot is None else [file.slots[slot].value for file in files]


def _calendars(names: Sequence[str]) -> list[Calendar]:
    """The ways to read dates that may fit, the likeliest first."""
    if not any(map(_DATE.search, names)):
        return ["none"]
    ordinal: list[Calendar] = ["days"] if all(_ORDINAL.search(name) for name in names) else []
    return ["months", *ordinal, "month first", "none"]


def _split(names: Sequence[str], reading: Reading) -> Series:
    skeletons: dict[str, list[ParsedName]] = defaultdict(list)
    for name in names:
        parsed = parse(name, reading)
        skeletons[parsed.skeleton].append(parsed)
    return [series for files in skeletons.values() for series in split_series(files)]


def _dated(series: Series) -> int:
    """The number of names that hold a date."""
    return sum(any(slot.kind in ("day", "moment") for slot in file.slots) for files in series for file in files)


def _are_fractions(series: Series) -> bool:
    """Whether what stands behind times is a part of a second, and not a small number."""
    moments = (slot.value for files in series for file in files for slot in file.slots if slot.kind == "moment")
    return any(moment % MICROSECONDS >= INDEX for moment in moments)


def _is_unpadded(names: Sequence[str]) -> bool:
    """Whether digits behind points are no whole numbers: 05 stands beside 1, or all come behind a zero."""
    found = [match for name in names if (match := _DECIMAL.search(name)) is not None]
    shortest = min(len(match["fraction"]) for match in found)
    padded = any(match["fraction"].startswith("0") and len(match["fraction"]) > shortest for match in found)
    return padded or all(match["whole"] == "0" for match in found)


def _are_decimals(decimal: Series, whole: Series, *, certain: bool) -> bool:
    """Whether points between digits are decimal points, given the series with and without.

    They are not where two names would have one value (1.1 and 1.10), or, unless it is `certain`, only without them all
    numbering is even.
    """
    for files in decimal:
        values = [tuple(slot.value for slot in file.slots) for file in files]
        if len(set(values)) < len(values):
            return False
    if certain:
        return True
    uneven, uneven_whole = (sum(len(holes(_values(files))) for files in series) for series in (decimal, whole))
    if uneven_whole == 0 and all(len(files) > 1 for files in whole):
        return uneven == 0 and len(decimal) < len(whole)
    return len(decimal) <= len(whole)


def _with_labels(series: Series) -> Series:
    """Joins series that fill each other's holes: frames with a word each, such as 001_walk and 002_stand."""
    lengths = {len(file.slots) for files in series for file in files}
    if len(series) < 2 or len(lengths) != 1 or lengths == {0}:
        return series
    if len(series) == 2 and not any(holes(_values(files)) for files in series):
        return series
    files = [file for each in series for file in each]
    for slot in {0, len(files[0].slots) - 1}:
        ranked = in_order(files, slot)
        values = [file.slots[slot].value for file in ranked]
        if len(set(values)) == len(values) > 2 and not holes(values):
            return [ranked]
    return series


def _with_first(series: Series) -> Series:
    """Puts a name without a number before the series that numbers it: frame.png before frame (1).png."""
    firsts = {_bare(files[0].skeleton): files for files in series if len(files) == 1 and not files[0].slots}
    joined = []
    used: list[list[ParsedName]] = []
    for files in series:
        bare = _bare(files[0].skeleton.replace(MARKS["number"], "", 1)) if len(files[0].slots) == 1 else None
        first = firsts.get(bare) if bare else None
        if first is None or first in used:
            joined.append(files)
        else:
            used.append(first)
            joined.append([*first, *files])
    return [files for files in joined if files not in used]


def _bare(skeleton: str) -> str:
    return skeleton.rstrip(" _-.()#")
