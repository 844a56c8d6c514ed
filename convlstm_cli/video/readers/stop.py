"""Where one decoder of a video stops, so that another goes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Halt:
    """Where OpenCV stopped. Its times are seconds from the first that the stream shows."""

    frames: int
    """Frames that it gave."""
    first: float
    """Time of its first frame."""
    last: float
    """Time of its last frame."""
    backwards: bool
    """Whether the time of the next frame does not come after it."""


@dataclass(frozen=True)
class Stop:
    """Where one decoder gave its last frame."""

    first: int
    """Time of its first frame, in the container's ticks."""
    last: int
    """Time of its last frame."""
