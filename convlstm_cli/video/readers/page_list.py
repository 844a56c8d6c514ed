"""The pages of an image file, read from its structure without decoding a pixel."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUFFIXES = frozenset({".apng", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes of the image formats that can hold several pages, in lower case and with their dot."""
MOST_TAGS = 4096
"""Tags of a TIFF page from which the file counts as damaged."""

REDUCED, MASK = 1, 4
"""Bits of the TIFF tag NewSubfileType (TIFF 6.0, page 36): a smaller copy of another page, a transparency mask."""


class Page(NamedTuple):
    """A page of an image file."""

    is_frame: bool
    """Whether it is a picture of its own, and neither a smaller copy nor a mask of another page."""
    seconds: float | None
    """How long it is shown; None where the format does not say."""
    offset: int = 0
    """Position in the file of its directory; for TIFF only."""


def has_pages(path: Path) -> bool:
    """Whether an image file holds two frames or more; False for files that cannot be read or are damaged."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    found = 0
    try:
        for page in iterate_pages(path):
            found += page.is_frame
            if found == 2:
                return True
    except (OSError, ValueError, struct.error):
        return found > 1
    return False


def iterate_pages(path: Path) -> Iterator[Page]:
    """The pages of a TIFF (also BigTIFF), WebP or PNG file; a still WebP or PNG has none here.

    Raises OSError where the file cannot be read, and ValueError or struct.error where it is damaged or of another
    format.
    """
    if not path.is_file():  # to open a FIFO would wait for ever
        return
    with path.open("rb") as file:
        head = file.read(16)
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            yield from _tiff_pages(file, head)
        elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            yield from _webp_pages(file)
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            yield from _png_pages(file)


def put_first(tiff: NDArray[np.uint8], offset: int) -> None:
    """Makes the page whose directory is at `offset` the first of a TIFF file (N bytes) in memory."""
    order = "<" if tiff[0] == ord("I") else ">"
    big = 43 in (tiff[2], tiff[3])
    start, field = (8, "Q") if big else (4, "I")
    packed = struct.pack(order + field, offset)
    tiff[start : start + len(packed)] = np.frombuffer(packed, np.uint8)


def _tiff_pages(file: BinaryIO, head: bytes) -> Iterator[Page]:
    """Follows the chain of image file directories (TIFF 6.0, section 2; BigTIFF has wider fields)."""
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in (head[2], head[3])
    count_size, entry_size, link, number = (8, 20, "Q", "Q") if big else (2, 12, "I", "H")
    (offset,) = struct.unpack_from(order + link, head, 8 if big else 4)
    seen: set[int] = set()
    while offset != 0:
        if offset in seen:
            raise ValueError("its directories form a circle")
        seen.add(offset)
        file.seek(offset)
        (entries,) = struct.unpack(order + number, file.read(count_size))
        if entries > MOST_TAGS:
            raise ValueError("too many tags")
        directory = file.read(entries * entry_size + struct.calcsize(order + link))
        yield Page(not _subfile_type(directory, entries, order, big) & (REDUCED | MASK), None, offset)
        (offset,) = struct.unpack_from(order + link, directory, entries * entry_size)


def _subfile_type(directory: bytes, entries: int, order: str, big: bool) -> int:
    """The value of NewSubfileType (254), which comes first where it is there, since tags ascend; 0 without it."""
    if entries == 0 or struct.unpack_from(order + "H", directory, 0)[0] != 254:
        return 0
    (value,) = struct.unpack_from(order + "I", directory, 12 if big else 8)
    return int(value)


def _webp_pages(file: BinaryIO) -> Iterator[Page]:
    """The ANMF chunks of an extended WebP file with animation (RFC 9649, section 2.7)."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        start = file.tell()
        if name == b"VP8X" and not file.read(1)[0] & 2:
            return
        if name in (b"VP8 ", b"VP8L"):  # a still image
            return
        if name == b"ANMF":
            yield Page(True, int.from_bytes(file.read(16)[12:15], "little") / 1000)
        file.seek(start + size + size % 2)


def _png_pages(file: BinaryIO) -> Iterator[Page]:
    """The fcTL chunks of an animated PNG (PNG third edition, section 11.3.2)."""
    file.seek(8)
    animated = False
    while len(head := file.read(8)) == 8:
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        start = file.tell()
        if name == b"acTL":
            animated = True
        elif name == b"fcTL":
            numerator, denominator = struct.unpack(">HH", file.read(24)[20:24])
            yield Page(True, numerator / (denominator or 100))
        elif name == b"IEND" or (name == b"IDAT" and not animated):
            return
        file.seek(start + size + 4)
