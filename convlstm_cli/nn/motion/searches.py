"""The searches for motion that a network may use."""

from dataclasses import dataclass

from convlstm_cli.nn.kinds import Motion, registry


@dataclass(frozen=True)
class Search:
    """How a motion is searched for."""

    frames: int
    """Last frames whose common motion is found."""
    iterations: int
    """Gauss-Newton steps on each level."""
    window: float
    """σ of the Gaussian, in pixels of a level, that shares a motion."""
    smoothing: float
    """σ of the windows of the guided filter after each step (`guided.py`), likewise."""
    damping: float = 7e-4
    """Added to the squared derivatives, in squared pixel values per squared pixel."""


SEARCHES: dict[str, Search] = registry(
    Motion,
    {
        "medium": Search(4, 3, 2.5, 1.6),
        "coarse": Search(8, 3, 3.5, 2.4),
        "fine": Search(4, 6, 1.8, 0.8, damping=2e-4),
        "latest": Search(2, 4, 2.5, 1.3),
    },
)
"""The searches that `kinds.MOTIONS` describes."""
