"""The pages of an image file, read from its structure without decoding a pixel."""

import contextlib
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUFFIXES = frozenset({".apng", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes of the image formats that can hold several pages, in lower case and with their dot."""
MOST_TAGS = 4096
"""Tags of a TIFF page from which the file counts as damaged."""

SUBFILE_TYPE, PHOTOMETRIC = 254, 262
"""The tags NewSubfileType and PhotometricInterpretation of TIFF 6.0."""
REDUCED, MASK = 1, 4
"""Bits of NewSubfileType (TIFF 6.0, page 36): a smaller copy of another page, a transparency mask."""
BLACK_IS_ZERO, TRANSPARENCY = 1, 4
"""Values of PhotometricInterpretation: a grey, and a transparency mask."""


class Page(NamedTuple):
    """A page of an image file."""

    is_frame: bool
    """Whether it is a picture of its own, and neither a smaller copy nor a mask of another page."""
    seconds: float | None
    """How long it is shown; None where the format does not say."""
    offset: int = 0
    """Position in the file of its directory; for TIFF only."""
    is_mask: bool = False
    """Whether it says which pixels of a page of full size are there."""


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
            yield from tiff_pages(file)
        elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            yield from _webp_pages(file)
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            yield from _png_pages(file)


def masks_of(pages: Iterable[Page]) -> dict[int, int]:
    """The offset of the mask of each page of a TIFF that has one, by the page's offset: the first mask behind it."""
    masks: dict[int, int] = {}
    frame: int | None = None
    for page in pages:
        if page.is_frame:
            frame = page.offset
        elif page.is_mask and frame is not None:
            masks.setdefault(frame, page.offset)
    return masks


def first_mask(file: BinaryIO) -> int | None:
    """The offset of the mask of the first page of a TIFF; None without one, and where the file is damaged."""
    with contextlib.suppress(ValueError, struct.error):
        for number, page in enumerate(tiff_pages(file)):
            if page.is_frame and number:
                break
            if page.is_mask and number:
                return page.offset
    return None


def put_first(tiff: NDArray[np.uint8], offset: int) -> None:
    """Makes the page whose directory is at `offset` the first of a TIFF file (N bytes) in memory."""
    form = _form(tiff[:16].tobytes())
    start = 8 if form.big else 4
    packed = struct.pack(form.order + form.link, offset)
    tiff[start : start + len(packed)] = np.frombuffer(packed, np.uint8)


@contextlib.contextmanager
def mask_as_image(tiff: NDArray[np.uint8], offset: int) -> Iterator[None]:
    """Makes a mask, whose directory is at `offset`, the first page of a TIFF (N bytes) in memory, and a grey image."""
    head = tiff[:16].copy()
    form = _form(head.tobytes())
    start = offset + struct.calcsize(form.order + form.number)
    (entries,) = struct.unpack(form.order + form.number, tiff[offset:start].tobytes())
    end = start + entries * form.entry_size
    directory = tiff[start:end].copy()
    put_first(tiff, offset)
    for at in range(start, end, form.entry_size):
        if struct.unpack(form.order + "H", tiff[at : at + 2].tobytes()) == (PHOTOMETRIC,):
            value = at + form.entry_size - struct.calcsize(form.order + form.link)
            tiff[value : value + 2] = np.frombuffer(struct.pack(form.order + "H", BLACK_IS_ZERO), np.uint8)
    try:
        yield
    finally:
        tiff[:16], tiff[start:end] = head, directory


class _Form(NamedTuple):
    """How a TIFF stores its directories (TIFF 6.0, section 2; BigTIFF has wider fields)."""

    order: str
    """Order of bytes, as `struct` names it."""
    big: bool
    number: str
    """Type of the number of entries, as `struct` names it."""
    entry_size: int
    link: str
    """Type of an offset, as `struct` names it."""


def _form(head: bytes) -> _Form:
    order = "<" if head[:2] == b"II" else ">"
    return _Form(order, True, "Q", 20, "Q") if 43 in head[2:4] else _Form(order, False, "H", 12, "I")


def tiff_pages(file: BinaryIO) -> Iterator[Page]:
    """The pages of a TIFF along the chain of its directories. Raises ValueError or struct.error where it is damaged."""
    file.seek(0)
    head = file.read(16)
    form = _form(head)
    (offset,) = struct.unpack_from(form.order + form.link, head, 8 if form.big else 4)
    seen: set[int] = set()
    while offset != 0:
        if offset in seen:
            raise ValueError("its directories form a circle")
        seen.add(offset)
        file.seek(offset)
        (entries,) = struct.unpack(form.order + form.number, file.read(struct.calcsize(form.order + form.number)))
        if entries > MOST_TAGS:
            raise ValueError("too many tags")
        directory = file.read(entries * form.entry_size + struct.calcsize(form.order + form.link))
        kind = _value(directory, entries, form, SUBFILE_TYPE, "I")
        is_mask = bool(kind & MASK) or _value(directory, entries, form, PHOTOMETRIC, "H") == TRANSPARENCY
        yield Page(not (is_mask or kind & REDUCED), None, offset, is_mask and not kind & REDUCED)
        (offset,) = struct.unpack_from(form.order + form.link, directory, entries * form.entry_size)


def _value(directory: bytes, entries: int, form: _Form, tag: int, kind: str) -> int:
    """The value of a tag of one value of a type that `struct` names; 0 without it."""
    for at in range(0, entries * form.entry_size, form.entry_size):
        found = struct.unpack_from(form.order + "H", directory, at)[0]
        if found >= tag:  # tags ascend
            room = at + form.entry_size - struct.calcsize(form.order + form.link)
            return int(struct.unpack_from(form.order + kind, directory, room)[0]) if found == tag else 0
    return 0


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
