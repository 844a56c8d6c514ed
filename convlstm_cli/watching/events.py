"""Alarms that follow each other closely, as one event."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class JudgedFrame:
    """A frame with its score. Frame numbers count from 1."""

    frame: int
    time: float | None
    """Seconds from the first frame; None where the source has no times."""
    score: float | None
    """How surprising it is; None where it cannot be forecast or has no values."""
    p: float | None
    """Its conformal p-value; None without a score, and of frames that are themselves taken for normal."""
    alarm: bool
    row: int | None
    """Row of the middle of the most surprising patch, in pixels of the source from 0; None without a score."""
    column: int | None
    """Its column."""


@dataclass(frozen=True)
class Event:
    """Frames that raise one alarm together."""

    first: int
    """Number of the first frame, from 1."""
    last: int
    start: float | None
    """Time of the first frame in seconds from that of the video; None where it has no times."""
    end: float | None
    """Time of the last frame."""
    alarms: int
    """Frames above the threshold; others may be between them."""
    peak: int
    """Number of the most surprising frame."""
    score: float
    """Its score."""
    p: float
    """Its p-value."""
    row: int
    """Row of the middle of its most surprising patch, in pixels of the source from 0."""
    column: int


class Events:
    """Collects the events of a video, in order."""

    def __init__(self, reach: int) -> None:
        """`reach`: frames that were taken up to which two alarms are one event."""
        self._reach = reach
        self._taken = self._last = 0
        self.found: list[Event] = []

    def add(self, frame: JudgedFrame) -> None:
        """Takes the next frame."""
        self._taken += 1
        if not frame.alarm:
            return
        near, self._last = self._taken - self._last <= self._reach, self._taken
        assert frame.score is not None
        assert frame.p is not None
        assert frame.row is not None
        assert frame.column is not None
        alone = Event(
            frame.frame, frame.frame, frame.time, frame.time, 1, frame.frame, frame.score, frame.p, frame.row,
            frame.column,
        )  # fmt: skip
        if not (self.found and near):
            self.found.append(alone)
            return
        before = self.found[-1]
        worst = alone if frame.score > before.score else before
        self.found[-1] = replace(
            worst, first=before.first, start=before.start, last=frame.frame, end=frame.time, alarms=before.alarms + 1
        )
