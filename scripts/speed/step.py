"""What a measured system is: a builder of training and inference steps for a network. Needs nothing but Python."""

from collections.abc import Callable
from typing import Any, Protocol

from speed.shapes import Shape

Step = Callable[[], Any]
"""One step, complete when it returns: its loss, or the seconds of its parts by name."""


class Measured(Protocol):
    """A system that the worker process measures."""

    about: dict[str, str]
    """Versions, and whatever else decides its speed."""

    def build(self, shape: Shape) -> dict[str, Step]:
        """The steps "train" and "infer" of a new network of this shape."""
