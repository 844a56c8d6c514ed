"""Guides: channels of a source that a network reads and does not forecast, such as an orography or a wind."""

from dataclasses import dataclass
from typing import Any

from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.values import BYTES, ValueRange


@dataclass(frozen=True)
class Guide:
    """A channel that guides a forecast, as a run records it."""

    channel: int | str
    """Its name, or its position from 0."""
    values: ValueRange = BYTES
    """The range of its values that becomes [0, 1]."""
    known: bool = False
    """Whether it is known for the frames to forecast too."""

    @property
    def title(self) -> str:
        """What people call it."""
        return self.channel if isinstance(self.channel, str) else f"channel {self.channel}"

    def describe(self) -> str:
        """Such as `height, 0 to 3000 m, is read and not forecast`."""
        ahead = ", and known ahead" if self.known else ""
        return f"{self.title}, {self.values.describe()}, is read and not forecast{ahead}"

    @property
    def flag(self) -> str:
        """The option that names it."""
        return "--known-future" if self.known else "--input-only"

    def to_dict(self) -> dict[str, Any]:
        """What records say of it."""
        return {"channel": self.channel, "values": self.values.to_dict(), "known": self.known}


def asked_guides(config: DataConfig) -> tuple[Guide, ...]:
    """The channels that are asked for, whose ranges are not known yet; those that are known ahead last."""
    inputs, known = (
        (Guide(each) for each in config.input_only),
        (Guide(each, known=True) for each in config.known_future),
    )
    return (*inputs, *known)


def guides_of(record: dict[str, Any]) -> tuple[Guide, ...]:
    """The channels that are read and not forecast, from what config.json says of the data."""
    return tuple(
        Guide(each["channel"], ValueRange.from_dict(each["values"]), each["known"]) for each in record.get("guides", ())
    )
