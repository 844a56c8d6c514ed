"""Settings that are given explicitly, as opposed to defaults and to settings on record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ExplicitSettings:
    """Values of config fields that were given explicitly, by the names of the fields; all others are left open.

    `--resume` and arms that are existing runs have their settings on record. What is asked for beside them has to agree
    with the record or to be free to change, while a default that nobody gave must not count as asked for.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `DataConfig`."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `ForecasterConfig`."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainConfig`."""
    compare: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `CompareConfig`."""


NOTHING_EXPLICIT = ExplicitSettings()
"""Nothing is asked for: everything is as it is on record."""
