"""Names of one skeleton as series: which number is the frame's, and which say what video it belongs to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from convlstm_cli.video.sequences.dates import MICROSECONDS
from convlstm_cli.video.sequences.names import ParsedName, Slot

Value = int | float

# fmt: off
OF_FRAMES = frozenset({
    "f", "fr", "frame", "frames", "image", "img", "it", "iter", "iteration", "n", "no", "nr", "num", "plt", "step", "t",
    "ti", "time", "timepoint", "timestep", "tp", "ts",
})
# fmt: on
"""Words before the number of a frame."""
# fmt: off
OF_VIDEOS = frozenset({
    "c", "cam", "camera", "ch", "channel", "clip", "ep", "episode", "exp", "experiment", "field", "fov", "p", "part",
    "patient", "person", "plane", "pos", "position", "r", "run", "s", "sample", "scene", "seq", "sequence", "series",
    "shot", "site", "slice", "station", "sub", "subject", "take", "tile", "track", "traj", "trial", "vid", "video",
    "view", "w", "wavelength", "well", "x", "y", "z",
})
# fmt: on
"""Words before the number of a video, a channel or a plane."""
FEW = 5
"""A number with fewer values than this hardly counts frames where another has more."""
MANY_HOLES = 0.2
"""Share of uneven steps from which numbers are measured values or identifiers, of which none is missing."""
LEAST_DIGITS = 3
"""Digits of a number that may begin again."""
DAY = 86400 * MICROSECONDS
"""What times of day begin again after."""
ROUNDING = 1e-6
"""Share of the usual step by which steps of decimal numbers may differ."""


def split_series(files: Sequence[ParsedName]) -> list[list[ParsedName]]:
    """Names of one skeleton as series, each in order.

    One varying number is the frame's. Of several, one that differs in every name and with which all others rise or
    fall (chunks of a running number, time beside step) orders one series. Otherwise the names are split by the values
    of the numbers that are not the frame's.
    """
    varying = _varying(files)
    if len(varying) <= 1:
        return [in_order(files)]
    alone = [slot for slot in varying if _differs_everywhere(files, slot)]
    for slot in alone:
        ranked = sorted(files, key=lambda file: file.slots[slot].value)
        if all(_is_monotone([file.slots[other].value for file in ranked]) for other in varying if other != slot):
            return [in_order(files, min(alone, key=lambda each: _rank(files, each)))]
    splitting = [slot for slot in varying if files[0].slots[slot].word in OF_VIDEOS]
    if alone and not splitting:
        best = min(alone, key=lambda each: _rank(files, each))
        uneven = len(holes(sorted(file.slots[best].value for file in files)))
        # An uneven number behind others is a part of them, such as the fraction of a second.
        return [in_order(files, best if best == varying[0] or uneven <= MANY_HOLES * len(files) else None)]
    frame = _frame_slot(files, varying)
    others = [slot for slot in varying if slot != frame]
    return _split_by(files, next((slot for slot in splitting if slot != frame), others[0]))


def in_order(files: Iterable[ParsedName], first: int | None = None) -> list[ParsedName]:
    """Names in the order of their numbers, of the one called `first` before the others; equal ones by name."""

    def key(file: ParsedName) -> tuple[list[Value], str]:
        values = [slot.value for slot in file.slots]
        return (values if first is None else [values[first], *values]), file.name

    return sorted(files, key=key)


def order_slot(files: Sequence[ParsedName]) -> int | None:
    """The position of the number by which names of one skeleton, in order, rise; None where no number does."""
    rising = [slot for slot in _varying(files) if _rises([file.slots[slot].value for file in files])]
    return min(rising, key=lambda slot: _rank(files, slot)) if rising else None


def holes(values: Sequence[Value]) -> list[tuple[Value, Value]]:
    """The neighbours in rising numbers between which the step is not the usual one, the most frequent."""
    if len(values) < 3:
        return []
    steps = Counter(_rounded(after - before, values[-1] - values[0]) for before, after in pairwise(values))
    most = max(steps.values())
    usual = min(step for step, count in steps.items() if count == most)
    tolerance = ROUNDING * max(abs(usual), abs(values[-1] - values[0]) * ROUNDING)
    return [(before, after) for before, after in pairwise(values) if abs(after - before - usual) > tolerance]


def irregular(values: Sequence[Value]) -> int:
    """The number of steps of rising numbers that are over half longer or shorter than the usual one, the median."""
    steps = sorted(after - before for before, after in pairwise(values))
    return 0 if not steps else sum(abs(2 * (step - steps[len(steps) // 2])) > steps[len(steps) // 2] for step in steps)


def unrolled(files: list[ParsedName]) -> list[ParsedName]:
    """Names in order whose numbers begin again, a camera's after 9999 or times of day after midnight, in that order.

    Those are numbers with one gap that go on evenly from the last one to the first.
    """
    slot = order_slot(files)
    if slot is None or len(files[0].slots) != len(files[-1].slots):
        return files
    values = [file.slots[slot].value for file in files]
    found, period = holes(values), _period(files[-1].slots[slot])
    if len(found) != 1 or period is None or not 0 <= values[0] < period > values[-1]:
        return files
    usual = next(after - before for before, after in pairwise(values) if (before, after) != found[0])
    # Some cameras count from 1 to 9999, others from 0.
    if values[0] + period - values[-1] != usual and (usual, values[0], values[-1]) != (1, 1, period - 1):
        return files
    first = values.index(found[0][1])
    moved = period - (values[0] == 1 == usual and files[0].slots[slot].kind == "number")
    return [*files[first:], *(_later(file, slot, moved) for file in files[:first])]


def _period(slot: Slot) -> Value | None:
    """The number after which one begins again; None where it does not."""
    if slot.kind == "clock":
        return DAY
    digits = slot.stop - slot.start
    return 10**digits if slot.kind == "number" and digits >= LEAST_DIGITS and slot.value == 10**digits - 1 else None


def _later(file: ParsedName, slot: int, by: Value) -> ParsedName:
    number = file.slots[slot]
    moved = number._replace(value=number.value + by)
    return file._replace(slots=(*file.slots[:slot], moved, *file.slots[slot + 1 :]))


def _rounded(step: Value, extent: Value) -> Value:
    """A step without the error of decimal numbers, so that equal ones count as equal."""
    return step if isinstance(step, int) else float(f"{step:.9g}") if abs(step) > abs(extent) * 1e-9 else 0.0


def _varying(files: Sequence[ParsedName]) -> list[int]:
    """The positions of the numbers that are not the same in all names."""
    first = files[0].slots
    return [slot for slot in range(len(first)) if any(file.slots[slot].value != first[slot].value for file in files)]


def _differs_everywhere(files: Sequence[ParsedName], slot: int) -> bool:
    return len({file.slots[slot].value for file in files}) == len(files)


def _is_monotone(values: Sequence[Value]) -> bool:
    return all(a <= b for a, b in pairwise(values)) or all(a >= b for a, b in pairwise(values))


def _rises(values: Sequence[Value]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _rank(files: Sequence[ParsedName], slot: int) -> tuple[bool, bool, int, int]:
    """Sorts first the number that most likely orders frames: a date, then one called so, then the most regular."""
    first = files[0].slots[slot]
    values = sorted(file.slots[slot].value for file in files)
    plain = first.kind == "number"
    # Of two dates the first is when a picture begins; of two numbers the last usually counts.
    return plain, first.word not in OF_FRAMES, len(holes(values)), -slot if plain else slot


def _frame_slot(files: Sequence[ParsedName], varying: Sequence[int]) -> int:
    """The number that counts frames, where none differs in every name."""
    values = {slot: len({file.slots[slot].value for file in files}) for slot in varying}
    most = max(values.values())

    def rank(slot: int) -> tuple[bool, bool, bool, bool, int]:
        number = files[0].slots[slot]
        few = values[slot] < FEW and most >= FEW
        return (
            number.kind not in ("moment", "clock"),
            number.word in OF_VIDEOS,
            few,
            number.word not in OF_FRAMES,
            -slot,
        )

    return min(varying, key=rank)


def _split_by(files: Sequence[ParsedName], slot: int) -> list[list[ParsedName]]:
    groups: dict[Value, list[ParsedName]] = defaultdict(list)
    for file in files:
        groups[file.slots[slot].value].append(file)
    if all(len(group) == 1 for group in groups.values()):
        return [in_order(files)]
    return [series for value in sorted(groups) for series in split_series(groups[value])]
