"""The range of values of a training: declared, given, or chosen from what its videos hold."""

from collections.abc import Sequence

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.config import parse_range
from convlstm_cli.video.library import Library
from convlstm_cli.video.natural import first_few
from convlstm_cli.video.ranks import ends_of, is_skewed, range_of
from convlstm_cli.video.split import Segment
from convlstm_cli.video.values import BYTES, LEAST_INSIDE, ValueRange, in_unit

CRUSHED = 0.25
"""Share of the range of all channels below which that of one is too small: each then gets a range of its own."""

FAR_OUTSIDE = 0.1
"""Values that lie farther beyond the ends of a range than this share of it are reported."""


def choose_range(
    library: Library,
    segments: Sequence[Segment],
    value_range: str | None = None,
    *,
    channels: int = 1,
    log: bool = False,
) -> ValueRange:
    """The range that becomes [0, 1] in a training on segments, of which a network reads so many channels.

    It is `value_range`, as --range takes it; else what the videos declare, which is 0...255 for 8 bits; else that of
    the values, at the size of the source: frames at the size of training are means over its pixels, which hide the
    extremes. Channels without a common unit, such as reflectance beside temperature, get a range each where a common
    one would crush some; integers of three channels are pictures, and do not. Raises InputError where videos of a
    library hold numbers that mean different things.
    """
    unit = _common_unit(library)
    if value_range is not None:
        return ValueRange(*parse_range("--range", value_range), unit, log)
    declared = {video.name: library.declared_range(video.name) for video in library.videos}
    if len(set(declared.values())) > 1 and any(video.dtype == "uint8" for video in library.videos):
        # The others may be pictures of more bits.
        for video in library.videos:
            library.range_in(video.name, BYTES)
        return BYTES
    known = {found for found in declared.values() if found is not None}
    ranks = [library.ranks(segment) for segment in segments if declared[segment.video] is None]
    if ranks:
        together = np.concatenate(ranks)  # (T, C, COLUMNS)
        if not known and not unit and _is_of_bands(library, channels):
            bands = [range_of(together[:, channel], log=log) for channel in range(channels)]
            whole = max(band.high for band in bands) - min(band.low for band in bands)
            if any(band.span < CRUSHED * whole for band in bands):
                return ValueRange.of_bands(bands)
        known.add(range_of(together))
    return ValueRange(min(found.low for found in known), max(found.high for found in known), unit, log)


def notes_on(library: Library, segments: Sequence[Segment], values: ValueRange) -> list[str]:
    """What people should know of a range that was chosen for segments: what it clips, and whether a logarithm helps."""
    named = dict.fromkeys(segment.video for segment in segments)
    beyond = [name for name in named if (share := library.inside(name)) is not None and share < LEAST_INSIDE]
    notes = []
    if beyond:
        notes.append(f"{first_few(beyond)}: most values lie outside the range that the source declares; give --range")
    found = [ranks for ranks in map(library.ranks, segments) if len(ranks)]
    if not found:
        return notes
    ranks = np.concatenate(found)
    for at, band in enumerate(values.bands or (values,)):
        of_band, where = (ranks[:, at], f"channel {at}: ") if values.bands else (ranks, "")
        notes += [
            f"{where}values as far as {end:.9g} lie apart from all others, as wrong ones do, and are clipped; give "
            f"--missing {end:.9g} if that means no data, or --range if they are right"
            for end in ends_of(of_band)
            if not band.low <= end <= band.high
        ]
        if is_skewed(of_band, band):
            most = f"{where}most values are small beside the largest, {band.high:.5g}"
            notes.append(f"{most}; --log spreads them, and errs more with the largest")
    return notes


def outside(library: Library, segments: Sequence[Segment], values: ValueRange) -> str | None:
    """Says that frames have values far outside a range that was not chosen for them, a clause; None if they do not."""
    found = [ranks for ranks in map(library.ranks, segments) if len(ranks)]
    if not found or values.is_bytes:
        return None
    ranks = np.concatenate(found)
    bands = [(ranks[:, at], band) for at, band in enumerate(values.bands)] or [(ranks, values)]
    for of_band, band in bands:
        ends = ends_of(of_band)
        if ends and max(band.low - ends[0], ends[1] - band.high) > FAR_OUTSIDE * band.span:
            held, trained = in_unit((ends[0], ends[1]), values.unit), band.describe()
            return f"the values are {held}, and those outside the {trained} of the training count as its ends"
    return None


def _is_of_bands(library: Library, channels: int) -> bool:
    """Whether the channels may be of different kinds: several of the sources, and not the colours of pictures."""
    integers = all(np.dtype(video.dtype).kind in "iu" for video in library.videos)
    return channels > 1 and library.channels == channels and not (channels == 3 and integers)


def _common_unit(library: Library) -> str:
    """The unit of all videos; empty where none declares one. Raises InputError where they differ."""
    units = {video.unit: video for video in library.videos if video.unit}
    if len(units) > 1:
        (one, first), (other, second), *_ = units.items()
        raise InputError(f"{first.path}: is in {one} and {second.name} in {other}; bring all to one unit.")
    return next(iter(units), "")
