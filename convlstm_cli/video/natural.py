"""Names in natural order: frame2 before frame10."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
MOST_NAMED = 3
"""Names of several that a message gives."""


def natsorted(values: Iterable[T], key: Callable[[T], Any] | None = None) -> list[T]:
    """The values in natural order, those of equal keys as they come."""
    from natsort import natsorted as order  # here, because most forecasts order no names, and it takes 15 ms to import

    return list(order(values, key=key))


def first_few(names: Iterable[str]) -> str:
    """The first names in natural order, and how many more there are."""
    ordered = natsorted(names)
    more = len(ordered) - MOST_NAMED
    return f"{', '.join(ordered[:MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"
