"""TIFF through tifffile: a stack with its axes, and geographic images of one frame each."""

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import OutputError
from convlstm_cli.files import shown
from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.readers.tiff_tags import GEO, NODATA, RESOLUTION
from convlstm_cli.video.source import Placement, Tag
from convlstm_cli.video.values import TYPES
from convlstm_cli.video.writers.arrangement import storage
from convlstm_cli.video.writers.base import FrameWriter
from convlstm_cli.video.writers.images import ImagesWriter

if TYPE_CHECKING:
    import tifffile

STAND_INS = {"bool": "uint8", "float16": "float32", "int64": "float64", "uint64": "float64"}
"""Types that few readers of TIFF know, and those that hold their values."""
IMAGEJ = ("uint8", "uint16", "float32")
"""Types that ImageJ knows; stacks of others are described as OME does, which Bio-Formats reads."""
OME = {"float32": "float", "float64": "double"}
"""Types whose names in OME are others."""
LARGE = 2**32 - 2**25
"""Bytes from which a file has to be a BigTIFF, less what its directories take."""
DIRECTORY = 512
"""Bytes that a page takes beside its pixels, at most."""


class _File(io.BufferedRandom):
    """A file that numpy has to write to through Python, since numpy itself ignores a disk that is full at the end."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


class TiffWriter(FrameWriter):
    """A stack of pages, not compressed: one for each frame, or for each channel of it; RGB of 8 bits is one page."""

    types = TYPES
    any_channels = True

    def _begin(self) -> None:
        library = load_extra("tifffile", "tiff", self.path, "written")
        self._stored, self._packing = storage(self.placement, self.dtype, STAND_INS, scaled=False)
        self._rgb = self.shape[2] == 3 and self._stored == np.uint8
        self._bytes = int(np.prod(self.shape)) * self._stored.itemsize + DIRECTORY * self.shape[2]
        self._big = self._bytes * (self.placement.frames or 1) > LARGE
        self._file = self.cleanup.enter_context(_File(io.FileIO(self.partial, "w+b")))
        self._tiff: tifffile.TiffWriter = library.TiffWriter(self._file, bigtiff=self._big)
        self._described = self._description(self.placement.frames or 1)

    def _write(self, frame: Frame) -> None:
        if not self._big and self.frames * self._bytes > LARGE:
            raise OutputError(f"{shown(self.path)}: grows above 4 GB; choose --format npy.")
        stored = self._packing.to_stored(frame, self._stored)
        pages = [stored] if self._rgb else list(stored.transpose(2, 0, 1))
        for number, page in enumerate(pages):
            first = self.frames == 1 and number == 0
            self._tiff.write(
                np.ascontiguousarray(page),
                photometric="rgb" if self._rgb else "minisblack",
                metadata=None,
                software=False,
                description=self._described.encode() if first else None,
                extratags=nodata_tag(self._packing.fill_value(self._stored)) if first else (),
                **resolution(self.placement, self.shape),
            )

    def _finish(self) -> None:
        self._tiff.close()
        if (description := self._description(self.frames)) != self._described:
            library: Any = load_extra("tifffile", "tiff", self.path, "written")
            self._file.flush()
            self._file.seek(0)
            with library.TiffFile(self._file, mode="r+b") as written:
                written.pages[0].tags["ImageDescription"].overwrite(description.encode())
        self._file.close()

    def _description(self, frames: int) -> str:
        """What the first page says of the stack: as ImageJ or as OME writes it."""
        height, width, channels = self.shape
        planes, attributes = 1 if self._rgb else channels, self.placement.source.attributes
        step = _step(self.placement)
        fits = self.placement.fits(height, width)
        if self._stored.name in IMAGEJ and "PhysicalSizeX" not in attributes:
            lines = ["ImageJ=1.54f", f"images={frames * planes}"]
            lines += [f"channels={planes}"] if planes > 1 else []
            lines += [f"frames={frames}", "hyperstack=true"]
            lines += [f"finterval={step:.9g}", "tunit=sec"] if step is not None else []
            known = ("unit", "spacing") if fits else ()
            lines += [f"{key}={attributes[key]}" for key in known if isinstance(attributes.get(key), str)]
            return "\n".join([*lines, ""])
        kind = OME.get(self._stored.name, self._stored.name)
        sizes = f'SizeX="{width}" SizeY="{height}" SizeC="{channels}" SizeZ="1" SizeT="{frames}"'
        timing = "" if step is None else f' TimeIncrement="{step:.9g}" TimeIncrementUnit="s"'
        lengths = [key for key in attributes if key.startswith("PhysicalSize")] if fits else []
        timing += "".join(f" {key}={quoteattr(str(attributes[key]))}" for key in lengths)
        samples = channels if self._rgb else 1
        channel = "".join(
            f'<Channel ID="Channel:0:{each}" SamplesPerPixel="{samples}"/>' for each in range(channels // samples)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="{kind}" {sizes}{timing}>'
            f"{channel}<TiffData/></Pixels></Image></OME>"
        )


class GeotiffWriter(ImagesWriter):
    """A folder of one TIFF for each frame, at the place of its source, with its missing value; bands are channels."""

    types = TYPES
    any_channels = True
    suffix: ClassVar = ".tif"

    def _begin(self) -> None:
        super()._begin()
        self._library: Any = load_extra("tifffile", "tiff", self.path, "written")
        self._stored, self._packing = storage(self.placement, self.dtype, STAND_INS)
        source = self.placement.source
        placed = [each for each in source.tags if each.code in GEO and self.placement.fits(*self.shape[:2])]
        said = [each for each in source.tags if each.code == gdal_metadata.TAG]
        if self._packing is not source.packing:  # whose scale is not that of these numbers
            said = [replace(each, values=gdal_metadata.without(str(each.values), _is_of_storage)) for each in said]
        self._tags = [_extra(each) for each in (*placed, *said)]
        self._tags += nodata_tag(self._packing.fill_value(self._stored))

    def _encoded(self, frame: Frame) -> bytes:
        stored: NDArray[Any] = self._packing.to_stored(frame, self._stored)
        bands = stored.shape[2]
        rgb = bands == 3 and stored.dtype in (np.uint8, np.uint16)
        file = io.BytesIO()
        self._library.imwrite(
            file,
            stored[:, :, 0] if bands == 1 else stored,
            photometric="rgb" if rgb else "minisblack",
            planarconfig="contig" if bands > 1 else None,
            metadata=None,
            software=False,
            extratags=self._tags,
            **resolution(self.placement, self.shape),
        )
        return file.getvalue()


def nodata_tag(fill: Any) -> list[tuple[Any, ...]]:
    """GDAL's tag for the value that stands for no measurement, as tifffile takes it."""
    if fill is None:
        return []
    return [_extra(Tag(NODATA, 2, "nan" if fill != fill else repr(np.asarray(fill).item())))]


def resolution(placement: Placement, shape: tuple[int, ...]) -> dict[str, Any]:
    """How far apart the pixels of the source lie, as tifffile takes it; empty where it does not say so."""
    found = {each.code: each.values for each in placement.source.tags}
    across, down, unit = (found.get(code) for code in RESOLUTION)
    if across is None or down is None or not placement.fits(*shape[:2]) or isinstance(across, str):
        return {}
    return {
        "resolution": (tuple(map(int, across)), tuple(map(int, down))),
        "resolutionunit": 2 if unit is None else int(unit[0]),
    }


def _extra(tag: Tag) -> tuple[Any, ...]:
    values = tag.values
    return (tag.code, tag.kind, 0 if isinstance(values, str) else len(values), values, True)


def _step(placement: Placement) -> float | None:
    """Seconds from one frame to the next."""
    seconds = placement.seconds
    return None if seconds is None or len(seconds) < 2 else seconds[1] - seconds[0]


def _is_of_storage(_name: str, role: str) -> bool:
    """Whether an item of GDAL's metadata says how stored numbers become values."""
    return role in ("scale", "offset")
