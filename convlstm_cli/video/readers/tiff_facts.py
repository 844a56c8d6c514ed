"""What the first directory of a TIFF says that a forecast takes on: where its pixels lie, and how far apart."""

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
        tags=tuple(_tag(directory, code) for code in wanted if code in directory.entries),
    )


def _tag(directory: Directory, code: int) -> Tag:
    entry = directory.entries[code]
    if entry.kind == 2:
        return Tag(code, 2, _STATISTICS.sub("", entry.text))  # of the source's own pixels
    return Tag(code, entry.kind, entry.numbers(directory.order))
