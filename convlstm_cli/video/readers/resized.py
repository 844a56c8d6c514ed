"""Whether the pictures of a stream change their size, found in its packets."""

import contextlib
import re
from collections.abc import Iterable
from typing import NamedTuple

import av
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

MAY_CHANGE = frozenset({"h264", "hevc", "mjpeg", "vp8", "vp9"})
"""Codecs whose pictures that are whole in themselves give the size anew."""
JPEG_SIZE = re.compile(rb"\xff[\xc0-\xc2]..(.{5})", re.DOTALL)
"""The head of a JPEG's frame: bits, height and width (ITU-T T.81, section B.2.2)."""

MOST_HEAD = 4096
"""Bytes of a picture in which its parameter sets are looked for."""


class Resized(NamedTuple):
    """A picture of another size than the first."""

    number: int
    """From 1, in the order of decoding."""
    first: tuple[int, int]
    """Height and width of the first picture."""
    now: tuple[int, int]
    """Height and width of this one."""


def resized(stream: VideoStream, codec: str, packets: "Iterable[Packet[VideoStream]]") -> Resized | None:
    """The first picture of another size than the first, among those that are whole in themselves.

    A picture is decoded only where its head differs from that of the one before.
    """
    known: bytes | None = None
    first: tuple[int, int] | None = None
    start: Packet[VideoStream] | None = None
    for number, packet in enumerate(packets, start=1):
        if not packet.is_keyframe:
            continue
        head = _head(codec, bytes(packet))
        start = start or packet
        if head and known and head != known:
            first = first or _size(stream, codec, start)
            now = _size(stream, codec, packet)
            if first and now and now != first:
                return Resized(number, first, now)
        known = head or known
    return None


def _head(codec: str, content: bytes) -> bytes:
    """The part of a picture that holds its size, and little else; empty where there is none."""
    if codec == "vp8":
        return content[6:10]  # RFC 6386, section 9.1
    if codec == "vp9":  # the uncompressed header: size begins in its fifth byte, later where there is more on colour
        bits = int.from_bytes(content[4:9], "big")
        return (bits >> (1 if content[0] & 0x20 else 4)).to_bytes(5, "big")
    if codec == "mjpeg":
        found = JPEG_SIZE.search(content)
        return found[1] if found else b""
    return b"".join(_sequence_units(codec, content))


def _sequence_units(codec: str, content: bytes) -> list[bytes]:
    """The sequence parameter sets among the units at the beginning of a picture, in a byte stream or with lengths."""
    units = re.split(b"\0\0\x01", content[:MOST_HEAD])[1:] if _is_byte_stream(content) else _with_lengths(content)
    wanted = 7 if codec == "h264" else 33
    return [unit for unit in units if unit and (unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63) == wanted]


def _is_byte_stream(content: bytes) -> bool:
    return content[:3] == b"\0\0\x01" or content[:4] == b"\0\0\0\x01"


def _with_lengths(content: bytes) -> list[bytes]:
    units, at = [], 0
    while at + 4 < min(len(content), MOST_HEAD):
        length = int.from_bytes(content[at : at + 4], "big")
        units.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return units


def _size(stream: VideoStream, codec: str, packet: "Packet[VideoStream]") -> tuple[int, int] | None:
    """Height and width of a picture that is whole in itself; None where it cannot be decoded."""
    decoder = CodecContext.create(codec, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata, decoder.thread_count = stream.codec_context.extradata, 1
    with contextlib.suppress(av.error.FFmpegError):
        for frame in (*decoder.decode(packet), *decoder.decode(None)):
            return frame.height, frame.width
    return None
