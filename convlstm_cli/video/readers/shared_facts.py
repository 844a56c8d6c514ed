"""What the files of one video, a frame each, say alike beside their pixels, which is what a forecast takes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.readers.tiff_tags import GEO
from convlstm_cli.video.source import SourceFacts, Tag, Variable

ROUNDED = 1e-8
"""Relative difference of coordinates that are the same but for rounding."""


def shared_facts(files: Sequence[Path], read: Callable[[Path], SourceFacts], notes: list[str]) -> SourceFacts:
    """The facts of the first file without what another one contradicts; a note says where places are among that.

    Where files scale their stored values differently, none of these scales holds for all values of a forecast, so it
    gets no scale and no stored type. A file that cannot be read is passed over. Raises InputError where the first
    cannot.
    """
    shared, moved = read(files[0]), ""
    for file in files[1:]:
        try:
            other = read(file)
        except InputError:
            continue
        variables = tuple(each for each in shared.variables if _is_among(each, other.variables))
        tags = _alike_tags(shared.tags, other.tags)
        if _places(shared, variables, tags) < _places(shared, shared.variables, shared.tags):
            moved = moved or file.name
        if (shared.packing.scale, shared.packing.offset) != (other.packing.scale, other.packing.offset):
            shared = replace(shared, packing=Packing(shared.packing.unit), dtype="")
        shared = replace(
            shared,
            attributes=_alike(shared.attributes, other.attributes),
            file_attributes=_alike(shared.file_attributes, other.file_attributes),
            variables=variables,
            tags=tags,
        )
    note = f"{files[0].name} and {moved} lie at different places, so a forecast has no coordinates"
    if moved and note not in notes:
        notes.append(note)
    return shared


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that both have."""
    return {key: each for key, each in one.items() if key in other and _same(each, other[key])}


def _is_among(variable: Variable, others: Sequence[Variable]) -> bool:
    """Whether another file has a variable of the same values."""
    return any(each.name == variable.name and _same(each.values, variable.values) for each in others)


def _alike_tags(tags: Sequence[Tag], others: Sequence[Tag]) -> tuple[Tag, ...]:
    """The tags that both have, with the metadata that both have. Those of a place go together."""
    found = {each.code: each for each in others}
    same = [each for each in tags if each.code in found and _same(each.values, found[each.code].values)]
    moved = {each.code for each in (*tags, *others) if each.code in GEO} - {each.code for each in same}
    kept = []
    for tag in tags:
        if tag.code == gdal_metadata.TAG and tag.code in found:
            kept.append(replace(tag, values=gdal_metadata.in_common(str(tag.values), str(found[tag.code].values))))
        elif tag in same and not (moved and tag.code in GEO):
            kept.append(tag)
    return tuple(kept)


def _places(facts: SourceFacts, variables: Sequence[Variable], tags: Sequence[Tag]) -> int:
    """How many of these say where the pixels of frames lie."""
    sides = {dim for dim, letter in zip(facts.dims or (), facts.axes, strict=False) if letter in "HW"}
    return sum(bool(sides & set(each.dims)) for each in variables) + sum(each.code in GEO for each in tags)


def _same(one: Any, other: Any) -> bool:
    """Whether numbers or texts are the same, up to rounding."""
    first, second = np.asarray(one), np.asarray(other)
    if first.shape != second.shape:
        return False
    if first.dtype.kind in "iuf" and second.dtype.kind in "iuf":
        return bool(np.allclose(first, second, rtol=ROUNDED, atol=0.0, equal_nan=True))
    return bool(np.array_equal(first, second))
