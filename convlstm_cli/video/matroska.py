"""Makes the ids in WebM and Matroska files the same in every file.

FFmpeg draws them at random, and OpenCV cannot pass on its option against that.
"""

import zlib
from pathlib import Path
from typing import BinaryIO

SEGMENT = 0x18538067
PARENTS = frozenset({0x1549A966, 0x1654AE6B, 0xAE, 0x1254C367, 0x7373, 0x63C0})
"""Info, Tracks, TrackEntry, Tags, Tag and Targets: the elements that contain ids, directly or further down."""
IDS = frozenset({0x73A4, 0x73C5, 0x63C5})
"""SegmentUID, TrackUID, and the TrackUID that a tag is about."""
CHECKSUM = 0xBF
"""CRC-32 of what follows it in its parent."""
LONGEST_HEAD = 12
"""Most bytes of an element's kind and size together."""


def settle_ids(path: Path) -> None:
    """Makes every id of a file of one track 1, so that equal frames give equal files.

    RFC 8794 has the layout of elements, RFC 9559 their kinds. `path` is a file that plays.
    """
    with path.open("r+b") as file:
        end = path.stat().st_size
        start = 0
        while start < end:
            kind, content, stop = _element(file, start)
            if kind == SEGMENT:
                start = content  # on into it: what is to be changed are its children
                continue
            if kind in PARENTS:
                file.seek(content)
                settled = bytearray(file.read(stop - content))
                _settle(settled, 0, len(settled))
                file.seek(content)
                file.write(settled)
            start = stop


def _element(file: BinaryIO, start: int) -> tuple[int, int, int]:
    """Kind, and where the content begins and ends, of the element at `start`."""
    file.seek(start)
    kind, content, stop = _head(file.read(LONGEST_HEAD), 0)
    return kind, start + content, start + stop


def _settle(content: bytearray, start: int, stop: int) -> None:
    """Changes the elements between two positions, then the checksum among them."""
    checked = None
    while start < stop:
        kind, start, end = _head(content, start)
        if kind in IDS:
            content[start:end] = (1).to_bytes(end - start, "big")
        elif kind in PARENTS:
            _settle(content, start, end)
        elif kind == CHECKSUM:
            checked = slice(start, end)
        start = end
    if checked is not None:
        content[checked] = zlib.crc32(content[checked.stop : stop]).to_bytes(4, "little")


def _head(content: bytes | bytearray, start: int) -> tuple[int, int, int]:
    """Kind, and where the content begins and ends, of the element at `start` of `content`."""
    length = _length(content[start])
    kind = int.from_bytes(content[start : start + length], "big")
    start += length
    length = _length(content[start])
    size = int.from_bytes(content[start : start + length], "big") - (1 << 7 * length)  # without the mark of its length
    start += length
    return kind, start, start + size


def _length(first: int) -> int:
    """Bytes of a number: as many as the bits of its first byte up to the first 1."""
    return 9 - first.bit_length()
