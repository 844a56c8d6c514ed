"""Channels by name, and the error for those that are not there."""

from collections.abc import Sequence
from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.paths import printable

LISTED = 20
"""Names of channels that a message lists."""


def positions(channels: Sequence[int | str], names: Sequence[str], found: int) -> list[int] | None:
    """Positions of channels, by their numbers from 0 or their names; None where one is neither."""
    chosen = [names.index(each) if isinstance(each, str) and each in names else each for each in channels]
    whole = [each for each in chosen if isinstance(each, int) and each < found]
    return whole if len(whole) == len(channels) else None


def unknown(
    path: Path, channels: Sequence[int | str], found: int, names: Sequence[str], arrays: Sequence[str], flag: str
) -> InputError:
    """The error for channels of which one is not there, with those that are.

    `found` is the number of channels, `names` are their names, and `arrays` those of the arrays of the file.
    """
    asked = ", ".join(str(each) for each in channels if each not in {*names, *arrays, *range(found)})
    held = f"the channels 0 to {found - 1}" if found > 1 else "channel 0 alone"
    held += f", named {_listing(names)}," * bool(names) + f" and the arrays {_listing(arrays)}" * bool(arrays)
    if not asked:
        return InputError(
            f"{path}: {flag} asks for channels of one array and for other arrays at once; name arrays alone, "
            f"or channels of one array. It has {held.rstrip(',')}."
        )
    return InputError(f"{path}: {flag} asks for {asked}, and it has {held.rstrip(',')}; name some of these.")


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(printable(name) for name in names[:LISTED]) + more
