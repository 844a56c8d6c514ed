"""What a split gives: which frames of which videos are for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class HasFrames(Protocol):
    """What a split has to know of a video."""

    @property
    def name(self) -> str: ...
    @property
    def frames(self) -> int: ...
    @property
    def pieces(self) -> Sequence[tuple[int, int]]:
        """First frame, from 0, and the frame after the last of each stretch without a gap, ascending."""
        ...


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a video."""

    video: str
    """Name of the video."""
    start: int
    """Position of the first frame, from 0."""
    stop: int
    """Position after the last frame."""


@dataclass(frozen=True)
class Split:
    """What every frame is for. Each subset has a segment at least, and each segment holds a clip at least."""

    train: tuple[Segment, ...]
    validation: tuple[Segment, ...]
    test: tuple[Segment, ...]
    how: str
    """How the videos were split, for people."""
    group_by: str | None = None
    """The regular expression on names by which groups of videos were kept together; None where none were."""


def segments_of(video: HasFrames, start: int, stop: int, clip_frames: int) -> tuple[Segment, ...]:
    """The pieces of a video between two frames, without those that are shorter than a clip."""
    cut = ((max(start, first), min(stop, end)) for first, end in video.pieces)
    return tuple(Segment(video.name, first, end) for first, end in cut if end - first >= clip_frames)
