"""What each axis of an array of frames is, by its name or by the sizes of all.

Axes are letters: N sequence, T time, C channel, H row, W column, and `_` for an axis of one entry that means nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

FEW = 4
"""Entries of an axis up to which it may be that of the channels."""
SLANT = 2.0
"""How many times as long as wide frames are from which (T, H, W) gives way to square frames of (H, W, T)."""
WORDS = {"N": "sequence", "T": "time", "C": "channel", "H": "row", "W": "column", "_": "one entry"}
NAMES = {
    "T": ("t", "time", "times", "date", "datetime", "valid_time", "frame", "frames", "lead_time", "step"),
    "H": ("h", "y", "lat", "latitude", "row", "rows", "north", "northing", "nj", "height", "rlat", "south_north"),
    "W": ("w", "x", "lon", "long", "longitude", "col", "column", "columns", "east", "easting", "ni", "width", "rlon",
          "west_east"),
    "C": ("c", "band", "bands", "channel", "channels", "variable", "variables", "wavelength", "rgb", "rgba"),
    "N": ("n", "sample", "samples", "sequence", "sequences", "case", "batch", "member", "realization", "ensemble",
          "number", "event"),
}  # fmt: skip
"""Names of dimensions in files that name theirs, in lower case."""


class Layout(NamedTuple):
    """What the axes of an array are."""

    axes: str
    """A letter for each axis."""
    doubt: str | None = None
    """Why it could be otherwise, a clause; None where it could not."""

    @property
    def words(self) -> str:
        """The axes for people, such as `(time, row, column)`."""
        return f"({', '.join(WORDS[letter] for letter in self.axes)})"

    def size(self, shape: Sequence[int], letter: str) -> int:
        """Entries of the axis of a letter; 1 where there is none."""
        return shape[self.axes.index(letter)] if letter in self.axes else 1


def named_layout(dims: Sequence[str], shape: Sequence[int]) -> Layout | None:
    """The layout that names of dimensions give; None where they do not name rows and columns, or are ambiguous.

    An axis of an unknown name is that of time where no other is and it holds more than one entry, else it has to hold
    one entry.
    """
    letters = [next((key for key, names in NAMES.items() if dim.lower() in names), "?") for dim in dims]
    unknown = [at for at, letter in enumerate(letters) if letter == "?" and shape[at] > 1]
    if len(unknown) == 1 and "T" not in letters:
        letters[unknown[0]] = "T"
    axes = "".join("_" if letter == "?" and shape[at] == 1 else letter for at, letter in enumerate(letters))
    return Layout(axes) if is_layout(axes, shape) else None


def is_layout(axes: str, shape: Sequence[int]) -> bool:
    """Whether letters are the axes of an array of this shape: rows and columns, the others once at most."""
    known = axes.replace("_", "")
    return (
        len(axes) == len(shape)
        and set(known) <= set("NTCHW")
        and len(set(known)) == len(known)
        and {"H", "W"} <= set(known)
        and all(size == 1 for letter, size in zip(axes, shape, strict=True) if letter == "_")
    )


def guessed_layout(shape: Sequence[int]) -> Layout | None:
    """The layout that the sizes of the axes suggest; None for a shape that is no frame, video or set of videos.

    - (H, W), and (H, W, C) with 3 or 4 channels, are one frame.
    - Three axes are (T, H, W), or (H, W, T) where that gives square frames and the other ones twice as long as wide.
    - Channels are the last axis where it has 1 to 4 entries and the rows and columns have more, or where the two axes
      before it are equal and longer. Else they are the axis before rows and columns with 1 to 4 entries, or the third
      of (H, W, C, T).
    - What is left of four and five axes are sequences and times. The shorter axis is time, since a set holds more
      videos than a video has frames (Moving MNIST is published as (20, 10000, 64, 64)); time comes first of equal ones.
      An axis of 2 to 4 entries before a longer one is that of the sequences.
    - Axes of one entry beyond five mean nothing.
    """
    if 0 in shape or len(shape) < 2:
        return None
    if len(shape) > 5:
        ones = [at for at, size in enumerate(shape) if size == 1][: len(shape) - 5]
        rest = [at for at in range(len(shape)) if at not in ones]
        inner = guessed_layout([shape[at] for at in rest]) if len(rest) == 5 else None
        if inner is None:
            return None
        letters = dict(zip(rest, inner.axes, strict=True))
        return Layout("".join(letters.get(at, "_") for at in range(len(shape))), inner.doubt)
    match len(shape):
        case 2:
            return Layout("HW")
        case 3:
            return _three(*shape)
        case 4:
            return _four(*shape)
    return _five(*shape)


def _three(first: int, second: int, third: int) -> Layout:
    if third in (3, 4) and min(first, second) > FEW:
        return Layout("HWC")
    slant = max(second, third) / min(second, third)
    if first == second > FEW and slant >= SLANT:
        return Layout("HWT", f"frames of {second}x{third} would be long ones")
    return Layout("THW")


def _four(first: int, second: int, third: int, fourth: int) -> Layout:
    if fourth <= FEW < min(second, third) or second == third > fourth:
        return Layout("THWC")
    if third in (3, 4) and min(first, second, fourth) > FEW:
        return Layout("HWCT")
    if second <= FEW < min(third, fourth):
        return Layout("TCHW")
    if fourth <= FEW:
        return Layout("THWC")
    sequences = _sequences(first, second)
    return Layout(f"{sequences.axes}HW", sequences.doubt)


def _five(first: int, second: int, third: int, fourth: int, fifth: int) -> Layout:
    if fifth <= FEW < min(third, fourth):
        sequences = _sequences(first, second)
        return Layout(f"{sequences.axes}HWC", sequences.doubt)
    if third <= FEW:
        sequences = _sequences(first, second)
        return Layout(f"{sequences.axes}CHW", sequences.doubt)
    if second <= FEW < first:
        sequences = _sequences(first, third)
        return Layout(f"{sequences.axes[0]}C{sequences.axes[1]}HW", sequences.doubt)
    sequences = _sequences(first, second)
    return Layout(f"{sequences.axes}HWC" if third == fourth > fifth else f"{sequences.axes}CHW", sequences.doubt)


def _sequences(first: int, second: int) -> Layout:
    """Which of two axes is time, and which that of the sequences."""
    if 1 in (first, second):
        return Layout("NT" if first == 1 else "TN")
    if first == second:
        return Layout("TN", "the sizes do not say which of the first axes is time")
    if first <= FEW < second:
        return Layout("NT", "an axis of a few entries is not taken for time")
    return Layout("TN" if first < second else "NT", "the shorter axis is taken for time")
