"""What GDAL's metadata in a TIFF say of its bands: their names, and how stored numbers become measured values."""

import html
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

TAG = 42112
"""The tag of a TIFF that holds them, an XML text."""
_ITEM = re.compile(r"\s*<Item\b([^>]*)>([^<]*)</Item>")
_ATTRIBUTE = re.compile(r"\b(\w+)=\"([^\"]*)\"")


class Scaling(NamedTuple):
    """How the stored numbers of all bands become values in the unit: number * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    alike: bool = True
    """Whether it holds for all bands; where they differ, numbers stay as they are stored."""


class _Item(NamedTuple):
    name: str
    role: str
    band: int
    """From 0; -1 for one of the whole file."""
    text: str


def band_names(metadata: str) -> dict[int, str]:
    """The descriptions of the bands that have one, by their positions from 0."""
    return {each.band: each.text for each in _items(metadata) if each.name == "DESCRIPTION" and each.band >= 0}


def scaling_of(metadata: str, bands: Sequence[int]) -> Scaling:
    """How the numbers of some bands, one at least, become values; `bands` are their positions from 0."""
    said = {(each.role, each.band): each.text.strip() for each in _items(metadata)}
    pairs = {(_number(said, "scale", band, 1.0), _number(said, "offset", band, 0.0)) for band in bands}
    scale, offset = pairs.pop()
    if pairs or not (math.isfinite(scale) and math.isfinite(offset) and scale):
        return Scaling(alike=False)
    units = {said.get(("unittype", band), "") for band in bands}
    return Scaling(scale, offset, units.pop() if len(units) == 1 else "")


def without(metadata: str, unwanted: Callable[[str, str], bool]) -> str:
    """The metadata without the items whose name and role are unwanted."""

    def kept(found: re.Match[str]) -> str:
        said = dict(_ATTRIBUTE.findall(found[1]))
        return "" if unwanted(said.get("name", ""), said.get("role", "")) else found[0]

    return _ITEM.sub(kept, metadata)


def in_common(metadata: str, other: str) -> str:
    """The metadata without the items that those of another file lack."""
    there = {found[0].strip() for found in _ITEM.finditer(other)}
    return _ITEM.sub(lambda found: found[0] if found[0].strip() in there else "", metadata)


def of_bands(metadata: str, chosen: Sequence[int]) -> str:
    """The metadata of a file that holds only these of the bands, by their positions from 0, in this order."""

    def kept(found: re.Match[str]) -> str:
        band = dict(_ATTRIBUTE.findall(found[1])).get("sample", "")
        if not band.isdecimal():
            return found[0]
        places = [place for place, each in enumerate(chosen) if each == int(band)]
        return "".join(found[0].replace(f'sample="{band}"', f'sample="{place}"', 1) for place in places)

    return _ITEM.sub(kept, metadata)


def _items(metadata: str) -> list[_Item]:
    items = []
    for attributes, content in _ITEM.findall(metadata):
        said = dict(_ATTRIBUTE.findall(attributes))
        band = said.get("sample", "")
        position = int(band) if band.isdecimal() else -1
        items.append(_Item(said.get("name", ""), said.get("role", ""), position, html.unescape(content)))
    return items


def _number(said: dict[tuple[str, int], str], role: str, band: int, usual: float) -> float:
    """What a band's item of a role says; NaN where that is no number."""
    try:
        return float(said.get((role, band), usual))
    except ValueError:
        return math.nan
