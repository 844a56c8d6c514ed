"""What the first directory of a TIFF says that a forecast takes on: where its pixels lie, and how far apart."""

import html
import re
from pathlib import Path

from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.readers.tiff_tags import (
    BITS,
    DESCRIPTION,
    FORMAT,
    GEO,
    HEIGHT,
    RESOLUTION,
    WIDTH,
    Directory,
    read_directory,
    read_tags,
)
from convlstm_cli.video.source import STORABLE, SourceFacts, Tag

KINDS = {1: "uint", 2: "int", 3: "float"}
"""Types of values by the tag SampleFormat."""
_IMAGEJ = re.compile(r"^(unit|spacing|loop)=(.+)$", re.MULTILINE)
_OME = re.compile(r"\b(PhysicalSize[XYZ](?:Unit)?)\s*=\s*\"([^\"<>&]*)\"")
_CHANNEL = re.compile(r"<Channel\b[^>]*?\bName=\"([^\"<>]+)\"")


def tiff_facts(path: Path) -> SourceFacts:
    """What a TIFF says; nothing for a file that cannot be read."""
    directory, tags = read_directory(path), read_tags(path)
    if directory is None or tags is None:
        return SourceFacts()
    is_geo = any(tag in directory.entries for tag in GEO)
    dtype = f"{KINDS.get(directory.first(FORMAT, 1), '')}{directory.first(BITS, 1)}"
    description = directory.text(DESCRIPTION)
    found = _OME if "<OME" in description[:4096] else _IMAGEJ
    wanted = [*(GEO if is_geo else RESOLUTION), gdal_metadata.TAG]
    facts = SourceFacts(
        "geotiff" if is_geo else "tiff",
        dtype=dtype if dtype in STORABLE else "",
        packing=tags.packing,
        size=(directory.first(HEIGHT, 0), directory.first(WIDTH, 0)),
        attributes=dict(found.findall(description)),
        names=band_names(directory),
        tags=tuple(_tag(directory, code) for code in wanted if code in directory.entries),
    )
    return facts if tags.alpha is None else facts.of_channels(tags.bands)


def band_names(directory: Directory) -> tuple[str, ...]:
    """Names of the bands as GDAL or OME write them; none where one has none."""
    description = directory.text(DESCRIPTION)
    named = dict(enumerate(map(html.unescape, _CHANNEL.findall(description)))) if "<OME" in description[:4096] else {}
    named |= gdal_metadata.band_names(directory.text(gdal_metadata.TAG))
    count = max(named, default=-1) + 1
    return tuple(named[at] for at in range(count)) if count == len(named) else ()


def _tag(directory: Directory, code: int) -> Tag:
    entry = directory.entries[code]
    if entry.kind == 2:
        return Tag(code, 2, gdal_metadata.without(entry.text, _of_own_pixels))
    return Tag(code, entry.kind, entry.numbers(directory.order))


def _of_own_pixels(name: str, _role: str) -> bool:
    """Whether an item of GDAL's metadata describes the pixels of its own file, so that no forecast may have it."""
    return name.upper().startswith("STATISTICS_")
