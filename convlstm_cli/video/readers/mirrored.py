"""Whether an MP4 or QuickTime file asks for pictures to be mirrored, which OpenCV takes for a rotation or ignores."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MOST_BOXES = 1000
"""Boxes of one level that are looked at; a fragmented file has its description before its fragments."""


def is_mirrored(path: Path) -> bool:
    """Whether the matrix of a track (ISO/IEC 14496-12, section 8.3.2) mirrors; False for files of other kinds."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(8)[4:] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return False
        return any(
            _mirrors(file, start)
            for moov in _boxes(file, 0, size, b"moov")
            for track in _boxes(file, *moov, b"trak")
            for start, _ in _boxes(file, *track, b"tkhd")
        )


def _boxes(file: BinaryIO, at: int, end: int, name: bytes) -> Iterator[tuple[int, int]]:
    """Where the content of each box of a name begins and ends, of those between two positions."""
    for _ in range(MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if at >= end or len(head) < 8:
            return
        length, begin = int.from_bytes(head[:4], "big"), 8
        if length == 1:  # the size follows in 8 bytes
            length, begin = int.from_bytes(head[8:], "big"), 16
        if length < begin:
            return
        if head[4:8] == name:
            yield at + begin, min(at + length, end)
        at += length


def _mirrors(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    version = file.read(1)
    file.seek(start + (52 if version == b"\1" else 40))
    content = file.read(20)
    if len(content) < 20:
        return False
    a, b, _, c, d = struct.unpack(">5i", content)
    return bool(a * d - b * c < 0)
