"""What the first directory of a TIFF says beside its pixels, read without decoding one."""

import math
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.readers.in_memory import open_memory
from convlstm_cli.video.readers.page_list import MOST_TAGS, PHOTOMETRIC

WIDTH, HEIGHT, DESCRIPTION, SAMPLES, BITS, FORMAT, NODATA = 256, 257, 270, 277, 258, 339, 42113
"""Tags of TIFF 6.0, and GDAL_NODATA."""
RESOLUTION = (282, 283, 296)
"""XResolution, YResolution and ResolutionUnit of TIFF 6.0."""
GEO = (33550, 33922, 34264, 34735, 34736, 34737)
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams and GeoAsciiParams of GeoTIFF
1.1."""
PLANAR, COLORMAP, EXTRA_SAMPLES = 284, 320, 338
ALPHA = (1, 2)
"""Values of ExtraSamples (TIFF 6.0, page 31): alpha that colours are multiplied by, and alpha that they are not."""
READ = frozenset(
    {
        WIDTH,
        HEIGHT,
        DESCRIPTION,
        SAMPLES,
        BITS,
        FORMAT,
        NODATA,
        PHOTOMETRIC,
        PLANAR,
        COLORMAP,
        EXTRA_SAMPLES,
        gdal_metadata.TAG,
        *RESOLUTION,
        *GEO,
    }
)
"""Tags that are read."""
LONGEST = 2**24
"""Bytes of a text that are read."""
SUFFIXES = frozenset({".tif", ".tiff"})
"""Suffixes of TIFF files, in lower case."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 16: 8}
"""Bytes of each type of value: BYTE, ASCII, SHORT, LONG, RATIONAL, DOUBLE, LONG8."""
PALETTE = 3
"""The PhotometricInterpretation of pixels whose numbers stand for colours of a table."""
MANY = 4
"""Samples of a pixel up to which OpenCV decodes it."""
_IMAGEJ = re.compile(r"(images|channels|slices|frames)=(\d+)")
_OME = re.compile(r"Size([CZT])\s*=\s*[\"'](\d+)")
_IMAGEJ_TIME = re.compile(r"^(finterval|tunit)=(.*)$", re.MULTILINE)
_OME_TIME = re.compile(r"\b(TimeIncrement(?:Unit)?)\s*=\s*[\"']([^\"']*)")
_SECONDS = {
    **dict.fromkeys(("us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec", "microsec"), 1e-6),
    **dict.fromkeys(("ms", "msec", "millisec"), 1e-3),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
"""Seconds of the units of time that ImageJ and OME write."""


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
    """The stored number that stands for no measurement, counted from black; None where the file names none."""
    photometric: int = 1
    """What the first values of a pixel are: 0 and 1 a grey, 2 RGB (PhotometricInterpretation of TIFF 6.0)."""
    has_next: bool = False
    """Whether there is a second directory."""
    planar: bool = False
    """Whether the values of one channel follow each other, and not those of one pixel (PlanarConfiguration)."""
    scaling: gdal_metadata.Scaling = gdal_metadata.Scaling()
    """How GDAL says that stored numbers become values."""
    alpha: int | None = None
    """The position from 0 of the value of a pixel that says how much of it is there; None without one."""
    palette: tuple[float, ...] = ()
    """The reds, then the greens, then the blues of a table of colours; none without one."""

    @property
    def has_axes(self) -> bool:
        """Whether its pages are not simply frames, or its pixels are not decoded by OpenCV."""
        sizes = self._sizes
        deep = sizes["channels"] > max(self.samples, 1) or (sizes["slices"] > 1 and sizes["frames"] > 1)
        return deep or self._is_unlike_a_picture or self.is_open_ended

    @property
    def interval(self) -> float | None:
        """Seconds from one frame to the next, as ImageJ or OME say it; None where they do not."""
        sizes, is_ome = self._sizes, self._is_ome
        if sizes["frames"] < 2 and (is_ome or sizes["slices"] > 1):
            return None
        found = dict((_OME_TIME if is_ome else _IMAGEJ_TIME).findall(self.description))
        number, unit = ("TimeIncrement", "TimeIncrementUnit") if is_ome else ("finterval", "tunit")
        scale = _SECONDS.get(found.get(unit, "").strip().lower())
        try:
            seconds = float(found[number]) * (scale or math.nan)
        except (KeyError, ValueError):
            return None
        return seconds if 0 < seconds < math.inf else None

    @property
    def counts_from_white(self) -> bool:
        """Whether the least of its integers is white (MINISWHITE): frames have them counted from black.

        Floats have no number for black, and of several bands the tag says nothing.
        """
        return self._white_is_least and self.sample_format in (1, 2)

    @property
    def has_palette(self) -> bool:
        """Whether its numbers stand for colours of a table."""
        return self.photometric == PALETTE

    @property
    def notes(self) -> list[str]:
        """What people should know of how its numbers are read, a clause each."""
        notes = []
        if self._white_is_least:
            done = "counted from black" if self.counts_from_white else "kept, since floats have no number for black"
            notes.append(f"its least number is white (MINISWHITE); its numbers are {done}")
        if not self.scaling.alike:
            notes.append("its bands have scales or offsets of their own, so its numbers are read as they are stored")
        return notes

    @property
    def packing(self) -> Packing:
        """How stored numbers, counted from black, become those of frames."""
        missing = () if self.nodata is None else (self.nodata,)
        if self.counts_from_white or self.has_palette:  # frames have other numbers than GDAL scales
            return Packing(missing=missing)
        return Packing(self.scaling.unit, self.scaling.scale, self.scaling.offset, missing)

    @property
    def is_rgba(self) -> bool:
        """Whether its pixels are red, green, blue and alpha in unsigned integers, as OpenCV decodes them."""
        return (self.photometric, self.samples, self.alpha, self.sample_format) == (2, 4, 3, 1)

    @property
    def bands(self) -> list[int]:
        """The positions from 0 of the values of a pixel that frames have, which are all but alpha."""
        return [each for each in range(max(self.samples, 1)) if each != self.alpha]

    @property
    def gaps_are_floats(self) -> bool:
        """Whether frames with missing pixels need another type than the stored numbers, which have none for them."""
        return self.sample_format in (1, 2) and self.packing.fill_value(self.dtype) is None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds its stored numbers."""
        held = next((bits for bits in (8, 16, 32, 64) if self.bits <= bits), 64)
        return np.dtype({2: f"i{held // 8}", 3: f"f{max(held // 8, 2)}"}.get(self.sample_format, f"u{held // 8}"))

    @property
    def missing(self) -> float | None:
        """The value of frames that stands for no measurement; None where that is NaN, or there is none."""
        return None if self.packing.is_scaled else self.nodata

    def from_black(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Stored pixels of any shape, counted from black where the file counts from white."""
        return pixels ^ pixels.dtype.type(self._darkest) if self.counts_from_white else pixels

    def to_values(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels of any shape, counted from black, as frames have them: scaled as GDAL says, with NaN in gaps then."""
        return self.packing.to_values(pixels) if self.packing.is_scaled else pixels

    @property
    def _white_is_least(self) -> bool:
        return self.photometric == 0 and self.samples == 1

    @property
    def _darkest(self) -> int:
        """The number of black that the number 0 of white turns into: all bits set."""
        return 2**self.bits - 1 if self.sample_format == 1 else -1

    @property
    def _is_ome(self) -> bool:
        return "<OME" in self.description[:4096]

    @property
    def _sizes(self) -> dict[str, int]:
        """Lengths of the axes of ImageJ or OME, 1 for those that neither names."""
        sizes = dict.fromkeys(("images", "channels", "slices", "frames"), 1)
        if self.description.startswith("ImageJ="):
            return sizes | {name: int(size) for name, size in _IMAGEJ.findall(self.description)}
        if self._is_ome:
            names = {"C": "channels", "Z": "slices", "T": "frames"}
            return sizes | {names[letter]: int(size) for letter, size in reversed(_OME.findall(self.description))}
        return sizes

    @property
    def _is_unlike_a_picture(self) -> bool:
        """Whether OpenCV refuses its pixels, or gives others than the file holds."""
        several, unsigned, floating = self.samples > 1, self.sample_format == 1, self.sample_format == 3
        # It makes one of several bands of signed integers, and of bands of integers that are no colours.
        merged = several and (self.sample_format == 2 or (self.photometric < 2 and (unsigned or self.samples != 3)))
        # Of values of more than 8 bits it takes a plane for pixels, and reads past its end.
        planar = several and self.planar and self.bits > 8
        half = floating and self.bits == 16
        return self.samples > MANY or merged or planar or half or (self.bits >= 32 and not floating)

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
    tags = tiff_tags(path)
    return tags is not None and tags.is_open_ended


def tiff_tags(path: Path) -> TiffTags | None:
    """The tags of a file that is named as a TIFF; None for others, and for one that is damaged or cannot be read."""
    return read_tags(path) if path.suffix.lower() in SUFFIXES else None


def read_tags(path: Path) -> TiffTags | None:
    """The tags of a TIFF; None for a file that is none, is damaged or cannot be read."""
    directory = read_directory(path)
    return None if directory is None else _tags(directory)


def tags_in(content: NDArray[np.uint8]) -> TiffTags | None:
    """The tags of the first page of a TIFF of N bytes in memory; None for what is none, or is damaged."""
    try:
        return tags_of(open_memory(content))
    except (ValueError, struct.error):
        return None


def tags_of(file: BinaryIO) -> TiffTags | None:
    """The tags of an open TIFF; None for another file. Raises ValueError or struct.error where it is damaged."""
    directory = _directory(file)
    return None if directory is None else _tags(directory)


def _tags(directory: "Directory") -> TiffTags:
    tags = TiffTags(
        directory.text(DESCRIPTION),
        directory.first(SAMPLES, 1),
        directory.first(BITS, 1),
        directory.first(FORMAT, 1),
        _number(directory.text(NODATA)),
        directory.first(PHOTOMETRIC, 1),
        directory.has_next,
        directory.first(PLANAR, 1) == 2,
        alpha=_alpha(directory),
        palette=directory.entries[COLORMAP].numbers(directory.order) if COLORMAP in directory.entries else (),
    )
    tags = tags._replace(scaling=gdal_metadata.scaling_of(directory.text(gdal_metadata.TAG), tags.bands))
    if tags.nodata is None or not tags.counts_from_white:
        return tags
    return tags._replace(nodata=tags._darkest - tags.nodata)


def _alpha(directory: "Directory") -> int | None:
    extra = directory.entries.get(EXTRA_SAMPLES)
    kinds = () if extra is None else extra.numbers(directory.order)
    colours = directory.first(SAMPLES, 1) - len(kinds)
    return next((colours + at for at, kind in enumerate(kinds) if kind in ALPHA and colours > 0), None)


class Entry(NamedTuple):
    """A tag as it stands in a directory."""

    kind: int
    """Type of its values, a key of SIZES."""
    content: bytes

    def numbers(self, order: str) -> tuple[float, ...]:
        """Its values; numerators and denominators in turn of fractions."""
        code = {3: "H", 4: "I", 5: "I", 12: "d", 16: "Q"}.get(self.kind, "B")
        count = len(self.content) // struct.calcsize(order + code)
        return struct.unpack_from(f"{order}{count}{code}", self.content)

    @property
    def text(self) -> str:
        """Its text."""
        return self.content.rstrip(b"\0").decode(errors="replace")


class Directory(NamedTuple):
    """The first directory of a TIFF."""

    order: str
    """Order of bytes, as `struct` names it."""
    entries: dict[int, Entry]
    has_next: bool

    def first(self, tag: int, usual: int) -> int:
        """The first value of a tag."""
        entry = self.entries.get(tag)
        return usual if entry is None or not (found := entry.numbers(self.order)) else int(found[0])

    def text(self, tag: int) -> str:
        """The text of a tag; empty where it is not there."""
        return self.entries[tag].text if tag in self.entries else ""


def read_directory(path: Path) -> Directory | None:
    """The first directory of a TIFF; None for a file that is none, is damaged or cannot be read."""
    try:
        if not path.is_file():  # to open a FIFO would wait for ever
            return None
        with path.open("rb") as file:
            return _directory(file)
    except (OSError, ValueError, struct.error):
        return None


def _directory(file: BinaryIO) -> Directory | None:
    file.seek(0)
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
    found: dict[int, Entry] = {}
    for at in range(0, entries * entry_size, entry_size):
        tag, kind = struct.unpack_from(order + "HH", directory, at)
        if tag in READ and kind in SIZES:
            (count,) = struct.unpack_from(order + link, directory, at + 4)
            room = struct.calcsize(link)
            value = directory[at + 4 + room : at + 4 + 2 * room]
            if (size := min(count * SIZES[kind], LONGEST)) > room:
                file.seek(struct.unpack(order + link, value)[0])
                value = file.read(size)
            found[tag] = Entry(kind, value[:size])
    (following,) = struct.unpack_from(order + link, directory, entries * entry_size)
    return Directory(order, found, following != 0)


def _number(text: str) -> float | None:
    """A value for missing pixels; None for NaN, which is missing in any case."""
    try:
        found = float(text.strip())
    except ValueError:
        return None
    return None if math.isnan(found) else found
