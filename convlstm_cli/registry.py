"""Registries: the things of one kind, by name, each added in one place.

Baselines, metrics, losses, optimisers, augmentations, readers, output formats, forecaster kinds, heads and peephole
kinds are registries. Options' choices, tables, JSON, charts, checks and reports read them; nothing else lists their
names.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """The name that options and files use."""


Entry = TypeVar("Entry", bound=Named)


class Registry(Mapping[str, Entry]):
    """The things of one kind by name, in the order in which they were added.

    `settings.check_choice` holds what a user asks for to the names.

    Args:
        what: what one entry is called, such as `loss`, for messages.
        entries: the first ones.
    """

    def __init__(self, what: str, entries: Iterable[Entry] = ()) -> None:
        self.what = what
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> Entry:
        """Adds an entry and returns it. Raises ValueError where the name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"there is a {self.what} named {entry.name!r} already")
        self._entries[entry.name] = entry
        return entry

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
