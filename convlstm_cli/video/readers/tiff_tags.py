"""What the first directory of a TIFF says beside its pixels, read without decoding one."""

import re
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from convlstm_cli.video.readers.page_list import MOST_TAGS

DESCRIPTION, SAMPLES, BITS, FORMAT, NODATA = 270, 277, 258, 339, 42113
"""Tags of TIFF 6.0, and GDAL_NODATA."""
LONGEST = 2**24
"""Bytes of a text that are read."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of each type of value: BYTE, ASCII, SHORT, LONG, LONG8."""
MANY = 4
"""Samples of a pixel up to which OpenCV decodes it."""
_IMAGEJ = re.compile(r"(images|channels|slices|frames)=(\d+)")
_OME = re.compile(r"Size([CZT])\s*=\s*[\"'](\d+)")


class TiffTags(NamedTuple):
    """Some tags of a TIFF."""

    description: str = ""
    samples: int = 1
    """Values of a pixel."""
    bits: int = 8
    """Bits of a value."""
    sample_format: int = 1
    """1 unsigned, 2 signed, 3 floating."""
    nodata: float | None = None
    """The value that stands for no measurement; None where the file names none."""
    has_next: bool = False
    """Whether there is a second directory."""

    @property
    def has_axes(self) -> bool:
        """Whether its pages are not simply frames, or its pixels are not decoded by OpenCV."""
        sizes = dict.fromkeys(("images", "channels", "slices", "frames"), 1)
        if self.description.startswith("ImageJ="):
            sizes |= {name: int(size) for name, size in _IMAGEJ.findall(self.description)}
        elif "<OME" in self.description[:4096]:
            names = {"C": "channels", "Z": "slices", "T": "frames"}
            sizes |= {names[letter]: int(size) for letter, size in reversed(_OME.findall(self.description))}
        deep = sizes["channels"] > max(self.samples, 1) or (sizes["slices"] > 1 and sizes["frames"] > 1)
        wide = self.samples > MANY or (self.bits >= 32 and self.sample_format != 3)
        return deep or wide or self.is_open_ended

    @property
    def is_open_ended(self) -> bool:
        """Whether ImageJ wrote many images behind one directory, as it does above 4 GB."""
        return self.images > 1 and not self.has_next

    @property
    def images(self) -> int:
        """The images that ImageJ says it wrote; 1 in other files."""
        found = re.search(r"\bimages=(\d+)", self.description) if self.description.startswith("ImageJ=") else None
        return 1 if found is None else int(found[1])


def is_open_ended(path: Path) -> bool:
    """Whether a file is a TIFF of ImageJ with many images behind one directory."""
    tags = read_tags(path) if path.suffix.lower() in (".tif", ".tiff") else None
    return tags is not None and tags.is_open_ended


def read_tags(path: Path) -> TiffTags | None:
    """The tags of a TIFF; None for a file that is none, is damaged or cannot be read."""
    try:
        if not path.is_file():  # to open a FIFO would wait for ever
            return None
        with path.open("rb") as file:
            return _tags(file)
    except (OSError, ValueError, struct.error):
        return None


def _tags(file: BinaryIO) -> TiffTags | None:
    head = file.read(16)
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in (head[2], head[3])
    count_size, entry_size, link, number = (8, 20, "Q", "Q") if big else (2, 12, "I", "H")
    (offset,) = struct.unpack_from(order + link, head, 8 if big else 4)
    file.seek(offset)
    (entries,) = struct.unpack(order + number, file.read(count_size))
    if entries > MOST_TAGS:
        return None
    directory = file.read(entries * entry_size + struct.calcsize(order + link))
    found: dict[int, bytes] = {}
    for at in range(0, entries * entry_size, entry_size):
        tag, kind = struct.unpack_from(order + "HH", directory, at)
        if tag in (DESCRIPTION, SAMPLES, BITS, FORMAT, NODATA) and kind in SIZES:
            (count,) = struct.unpack_from(order + link, directory, at + 4)
            room = struct.calcsize(link)
            value = directory[at + 4 + room : at + 4 + 2 * room]
            if (size := min(count * SIZES[kind], LONGEST)) > room:
                file.seek(struct.unpack(order + link, value)[0])
                value = file.read(size)
            found[tag] = value[:size]
    (following,) = struct.unpack_from(order + link, directory, entries * entry_size)

    def first(tag: int, usual: int) -> int:
        value = found.get(tag, b"")[:2]
        return int(struct.unpack(order + "H", value)[0]) if len(value) == 2 else usual

    return TiffTags(
        found.get(DESCRIPTION, b"").rstrip(b"\0").decode(errors="replace"),
        first(SAMPLES, 1),
        first(BITS, 1),
        first(FORMAT, 1),
        _number(found.get(NODATA, b"")),
        following != 0,
    )


def _number(text: bytes) -> float | None:
    try:
        return float(text.strip(b"\0 ").decode())
    except ValueError:
        return None
