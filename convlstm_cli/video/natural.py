"""Names in natural order: frame2 before frame10."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def natsorted(values: Iterable[T], key: Callable[[T], Any] | None = None) -> list[T]:
    """The values in natural order, those of equal keys as they come."""
    from natsort import natsorted as order  # here, because most forecasts order no names, and it takes 15 ms to import

    return list(order(values, key=key))
