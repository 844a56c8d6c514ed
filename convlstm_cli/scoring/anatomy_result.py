"""What a comparison finds about trained peepholes, from where it is measured to where it is shown or written."""

from dataclasses import dataclass

GATES = {"i": "input", "f": "forget", "o": "output"}
"""The gates that peepholes lead to, with their names; the candidate g has none."""
ALL = "all"
"""Stands for all of `GATES` at once."""


@dataclass(frozen=True)
class Saturation:
    """How often a gate is nearly closed or open: shares of all clips, time steps, channels, positions and seeds."""

    arm: str
    layer: str
    gate: str
    closed: float
    """Share below `Anatomy.closed_below`, in [0, 1]."""
    open: float
    """Share above `Anatomy.open_above`, in [0, 1]."""
    mean: float
    """Mean activation, in [0, 1]."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie between each two edges."""

    edges: list[float]
    """One more than `counts`, symmetric about 0, and the same for all layers and gates of an arm."""
    counts: list[int]


@dataclass(frozen=True)
class PeepholeWeights:
    """The trained peepholes of a layer to one gate, pooled over the seeds."""

    arm: str
    layer: str
    gate: str
    mean: float
    std: float
    rms: float
    """Root mean square."""
    initial_rms: float
    """Root mean square before training: 0, or the expected one of a uniform draw."""
    quantiles: dict[str, float]
    """By the level, `0` to `1`."""
    histogram: Histogram
    map: list[list[float]] | None
    """(H, W) of the hidden states, mean over channels and seeds; None for one weight per channel."""


@dataclass(frozen=True)
class KnockOut:
    """Scores of trained networks with the peepholes to one gate (or `ALL`) set to zero, in all layers."""

    arm: str
    gate: str
    mse: float
    """Mean over the seeds and all lead times."""
    relative: float | None
    """`mse` over that of the intact networks, less 1: 0.03 is an MSE 3 % higher. None where the intact one is 0."""
    by_seed: list[float | None]
    """The same of each seed alone."""


@dataclass(frozen=True)
class Anatomy:
    """The trained peepholes of every arm, all seeds pooled; arms without peepholes are in `saturation` only."""

    saturation: list[Saturation]
    saturation_clips: int
    """Test clips on which the gates were watched."""
    peepholes: list[PeepholeWeights]
    knock_out: list[KnockOut]
    closed_below: float
    """Activation below which a gate counts as nearly closed."""
    open_above: float
    """Activation above which a gate counts as nearly open."""
    conclusions: list[str]
    """The same in sentences; none where no arm has peepholes."""
