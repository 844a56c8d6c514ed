"""What an optimiser keeps of each parameter, as resume.pt holds it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A tensor that an optimiser keeps of a parameter, such as the mean of its gradients."""

    scalar: bool = False
    """Whether it is a single number; else it has the parameter's shape."""
    signed: bool = True
    """Whether it may be negative."""
