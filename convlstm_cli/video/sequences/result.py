"""The image sequences of a folder."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ImageSequence:
    """Images of one folder that are the frames of one video."""

    pattern: str
    """Their names with `*` for what differs; unique in its folder."""
    names: tuple[str, ...]
    """File names, first frame first."""
    times: tuple[float, ...] | None = None
    """Seconds from the first frame to each, rising; None where the names hold no dates."""
    start: datetime | None = None
    """Date and time of the first frame, without a time zone; None where the names hold none."""
    numbers: tuple[float, ...] | None = None
    """The number in each name less that in the first, rising, where they are plain numbers; None otherwise."""
    notes: tuple[str, ...] = ()
    """What people should know of it, a clause each."""


@dataclass(frozen=True)
class LeftOut:
    """Images that are no frames of a video."""

    pattern: str
    """Their names with `*` for what differs."""
    names: tuple[str, ...]
    reason: str
    """What they are, such as `masks that go with f*.png`."""


@dataclass(frozen=True)
class Grouping:
    """What the images of a folder are."""

    sequences: tuple[ImageSequence, ...]
    """In natural order of their patterns."""
    left_out: tuple[LeftOut, ...]
