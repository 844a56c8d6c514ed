"""What the head of an H.264 or H.265 stream says of its pictures, read without decoding one (ITU-T H.264, H.265)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles whose sequence parameter set describes chroma and scaling lists (section 7.3.2.1.1)."""
ASPECTS = (
    *((1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
"""Shapes of pixels by their number, from 1 (table E-1)."""
WRITTEN_OUT = 255
"""The number of a shape that follows as two numbers."""
H264_SEQUENCE, H265_SEQUENCE = 7, 33
"""The types of a unit that holds a sequence parameter set (table 7-1 of both)."""
MAY_INTERLACE = 0x40
"""The bit general_interlaced_source_flag (ITU-T H.265, section 7.3.3)."""
WITH_HEAD = frozenset({"h264", "hevc"})
"""FFmpeg's names of the codecs that are known here."""


@dataclass(frozen=True)
class SequenceHeader:
    """What a sequence parameter set says."""

    progressive: bool
    """Whether no picture can be interlaced."""
    pixel_aspect: Fraction | None
    """Width of a pixel over its height; None where it is not given."""
    matrix: int | None
    """How colours were made from RGB, by table E-5; None where it is not given."""


def sequence_header(codec: str, head: bytes) -> SequenceHeader | None:
    """What the first sequence parameter set says in a stream's head, as MP4 and Matroska or MPEG-TS have it.

    None where there is none, or it is damaged, or the codec is another than those of `WITH_HEAD`.
    """
    try:
        if codec == "h264":
            unit = _unit(head, lambda first: first & 31 == H264_SEQUENCE) if head[:1] != b"\x01" else _recorded(head)
            return None if unit is None else _read(_Bits(_plain(unit[1:])))
        if codec == "hevc":
            unit = _unit(head, lambda first: first >> 1 & 63 == H265_SEQUENCE)
            flags = head[6] if head[:1] == b"\x01" else None if unit is None else _plain(unit)[8]
            return None if flags is None else SequenceHeader(not flags & MAY_INTERLACE, None, None)
    except IndexError:
        pass
    return None


def _recorded(head: bytes) -> bytes | None:
    """The first sequence parameter set of a record of ISO/IEC 14496-15."""
    length = int.from_bytes(head[6:8], "big")
    return head[8 : 8 + length] if head[5] & 31 else None


def _unit(head: bytes, wanted: Callable[[int], bool]) -> bytes | None:
    """The first unit of a byte stream (annex B) whose first byte is as wanted."""
    units = re.split(b"\0\0\x01", head)[1:]
    return next((unit for unit in units if unit and wanted(unit[0])), None)


def _plain(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes apart (section 7.4.1 of both)."""
    return re.sub(b"\0\0\x03", b"\0\0", unit)


class _Bits:
    """The bits of bytes, from the first on. Raises IndexError behind the last."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content, "big"), 8 * len(content)

    def take(self, count: int) -> int:
        """A number of `count` bits."""
        if count > self._left:
            raise IndexError("no more bits")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def number(self) -> int:
        """An Exp-Golomb code (section 9.1): as many zeros as digits follow the first 1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """A signed Exp-Golomb code (section 9.1.1)."""
        code = self.number()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _read(bits: _Bits) -> SequenceHeader:
    profile = bits.take(8)
    bits.take(16)  # constraints and level
    bits.number()
    if profile in WITH_CHROMA:
        _pass_chroma(bits)
    bits.number()
    order = bits.number()
    if order == 0:
        bits.number()
    elif order == 1:
        bits.take(1)
        for _ in range(2):
            bits.number()
        for _ in range(bits.number()):
            bits.number()
    bits.number()  # frames that are referred to
    bits.take(1)
    for _ in range(2):  # width and height
        bits.number()
    progressive = bool(bits.take(1))
    bits.take(1 if progressive else 2)
    if bits.take(1):
        for _ in range(4):  # cropping
            bits.number()
    aspect, matrix = _usability(bits) if bits.take(1) else (None, None)
    return SequenceHeader(progressive, aspect, matrix)


def _pass_chroma(bits: _Bits) -> None:
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    for _ in range(2):  # depths
        bits.number()
    bits.take(1)
    if bits.take(1):
        for place in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _pass_scaling_list(bits, 16 if place < 6 else 64)


def _pass_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _usability(bits: _Bits) -> tuple[Fraction | None, int | None]:
    """The shape of pixels and the matrix of colours (annex E)."""
    aspect = matrix = None
    if bits.take(1):
        number = bits.take(8)
        if number == WRITTEN_OUT:
            width, height = bits.take(16), bits.take(16)
            aspect = Fraction(width, height) if width and height else None
        elif 0 < number <= len(ASPECTS):
            aspect = Fraction(*ASPECTS[number - 1])
    if bits.take(1):  # overscan
        bits.take(1)
    if bits.take(1):
        bits.take(4)  # format and range
        if bits.take(1):
            bits.take(16)  # primaries and transfer
            matrix = bits.take(8)
    return aspect, matrix
