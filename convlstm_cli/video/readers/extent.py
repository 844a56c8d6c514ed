"""Whether the end of a file is missing, by the sizes that its container gives for its outermost parts."""

import os
from pathlib import Path
from typing import BinaryIO

UNKNOWN = frozenset({0, 0xFFFFFFFF})
"""Sizes that writers of RIFF put where they do not know it yet."""
MOST_BOXES = 100_000
"""Boxes of a file that are looked at; a fragmented one has two for each fragment."""


def is_cut_short(path: Path) -> bool:
    """Whether a file of MP4, Matroska or AVI is shorter than it says; False where it does not say.

    The outermost parts: boxes of ISO/IEC 14496-12, the segment of RFC 9559, the list of RIFF.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] == b"\x1aE\xdf\xa3":
            return _matroska_end(file) > size
        if head[:4] == b"RIFF":
            length = int.from_bytes(head[4:8], "little")
            return length not in UNKNOWN and length + 8 > size
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _boxes_end(file, size) > size
    return False


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last box ends."""
    at = 0
    for _ in range(MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:  # the size follows in 8 bytes
            length = int.from_bytes(head[8:16], "big")
        if len(head) < 8 or length < 8:  # the end, a box up to the end, or no box
            return at
        at += length
        if at >= size:
            return at
    return 0


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment ends; 0 where it says that it does not know."""
    file.seek(4)
    header = _number(file)
    file.seek(header + 4 if header >= 0 else 0, os.SEEK_CUR)
    length = _number(file)
    return file.tell() + length if length >= 0 else 0


def _number(file: BinaryIO) -> int:
    """A number of 1 to 8 bytes, as many as its first byte's bits up to the first 1; -1 for one that is all ones."""
    first = file.read(1)
    if not first or not first[0]:
        return -1
    length = 9 - first[0].bit_length()
    bits = 7 * length
    number = int.from_bytes(first + file.read(length - 1), "big") & ((1 << bits) - 1)
    return -1 if number == (1 << bits) - 1 else number
