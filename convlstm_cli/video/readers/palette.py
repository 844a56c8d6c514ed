"""Whether the numbers of an image's pixels stand for colours of a table, read without decoding a pixel."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.readers.tiff_tags import tags_in

PNG = b"\x89PNG\r\n\x1a\n"
READ_AS_COLOURS = "its pixels are numbers of colours in a palette, and the colours are read, not the numbers"
"""The note about an image whose palette is no ramp of greys."""
INDEXED = 3
"""The colour type of a PNG with a palette (third edition, section 11.2.1)."""
MOST_CHUNKS = 1000
"""Chunks of a PNG that are looked at; the palette comes before the pixels."""


def has_colours(content: NDArray[np.uint8]) -> bool:
    """Whether a PNG, TIFF or BMP of N bytes has a palette that is no ramp of greys, as class maps have."""
    head = content[:54].tobytes()
    if head[:8] == PNG:
        return len(head) > 25 and head[25] == INDEXED and not _is_ramp(_of_png(content))
    if head[:2] == b"BM":
        return not _is_ramp(_of_bmp(content, head))
    tags = tags_in(content)
    return tags is not None and tags.has_palette and not _is_ramp(_of_tiff(tags.palette))


def _is_ramp(colours: NDArray[np.generic]) -> bool:
    """Whether the colours (N, 3) of a palette are greys that rise; black ones at the end are unused."""
    used = np.flatnonzero(colours.any(axis=1))
    greys = colours[: used[-1] + 1 if len(used) else 0].astype(np.int64)
    return bool((greys == greys[:, :1]).all() and (np.diff(greys[:, 0]) >= 0).all())


def _of_png(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The chunk PLTE, (N, 3)."""
    at = len(PNG)
    for _ in range(MOST_CHUNKS):
        size, name = int.from_bytes(content[at : at + 4].tobytes(), "big"), content[at + 4 : at + 8].tobytes()
        if name in (b"PLTE", b"IDAT", b""):
            found = content[at + 8 : at + 8 + size] if name == b"PLTE" else content[:0]
            return found[: len(found) // 3 * 3].reshape(-1, 3)
        at += size + 12
    return content[:0].reshape(0, 3)


def _of_tiff(palette: tuple[float, ...]) -> NDArray[np.float64]:
    """The tag ColorMap, (N, 3)."""
    count = len(palette) // 3
    return np.array(palette[: 3 * count], float).reshape(3, count).T


def _of_bmp(content: NDArray[np.uint8], head: bytes) -> NDArray[np.uint8]:
    """The table of colours behind the header of a BMP of up to 8 bits a pixel, (N, 3); none of other ones."""
    header, bits, used = (int.from_bytes(head[at : at + size], "little") for at, size in ((14, 4), (28, 2), (46, 4)))
    count = (used or 2**bits) if header >= 40 and 0 < bits <= 8 else 0
    found = content[14 + header : 14 + header + 4 * min(count, 256)]
    return found[: len(found) // 4 * 4].reshape(-1, 4)[:, :3]
