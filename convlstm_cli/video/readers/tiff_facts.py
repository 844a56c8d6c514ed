"""What the first directory of a TIFF says that a forecast takes on: where its pixels lie, and how far apart."""

import html
import re
from pathlib import Path

from convlstm_cli.video.packing import Packing
from convlstm_cli.video.readers.tiff_tags import (
    BITS,
    DESCRIPTION,
    FORMAT,
    GDAL_METADATA,
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
_BAND = re.compile(r"<Item name=\"DESCRIPTION\" sample=\"(\d+)\"[^>]*>([^<]+)</Item>")
_STATISTICS = re.compile(r"\s*<Item[^>]*name=\"STATISTICS_[^>]*>[^<]*</Item>", re.IGNORECASE)


def tiff_facts(path: Path) -> SourceFacts:
    """What a TIFF says; nothing for a file that cannot be read."""
    directory, tags = read_directory(path), read_tags(path)
    if directory is None or tags is None:
        return SourceFacts()
    is_geo = any(tag in directory.entries for tag in GEO)
    dtype = f"{KINDS.get(directory.first(FORMAT, 1), '')}{directory.first(BITS, 1)}"
    description = directory.text(DESCRIPTION)
    found = _OME if "<OME" in description[:4096] else _IMAGEJ
    wanted = [*(GEO if is_geo else RESOLUTION), GDAL_METADATA]
    return SourceFacts(
        "geotiff" if is_geo else "tiff",
        dtype=dtype if dtype in STORABLE else "",
        packing=Packing(missing=() if tags.nodata is None else (tags.nodata,)),
        size=(directory.first(HEIGHT, 0), directory.first(WIDTH, 0)),
        attributes=dict(found.findall(description)),
        names=band_names(directory),
        tags=tuple(_tag(directory, code) for code in wanted if code in directory.entries),
    )


def band_names(directory: Directory) -> tuple[str, ...]:
    """Names of the bands as GDAL or OME write them; none where one has none."""
    description = directory.text(DESCRIPTION)
    named = dict(enumerate(_CHANNEL.findall(description))) if "<OME" in description[:4096] else {}
    named |= {int(at): name for at, name in _BAND.findall(directory.text(GDAL_METADATA))}
    count = max(named, default=-1) + 1
    return tuple(html.unescape(named[at]) for at in range(count)) if count == len(named) else ()


def _tag(directory: Directory, code: int) -> Tag:
    entry = directory.entries[code]
    if entry.kind == 2:
        return Tag(code, 2, _STATISTICS.sub("", entry.text))  # of the source's own pixels
    return Tag(code, entry.kind, entry.numbers(directory.order))
