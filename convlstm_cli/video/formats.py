"""The output formats that frames can be written in. Imports no torch and no OpenCV.

A format is one entry of `OUTPUT_FORMATS`, which names its writer, a subclass of `writers.base.FrameWriter`. The option
--format, its help text, its check and everything that is written read this registry.
"""

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convlstm_cli.registry import Registry
from convlstm_cli.video.extras import load_extra

if TYPE_CHECKING:
    from convlstm_cli.video.writers.base import FrameWriter

SOURCE = "source"
"""What --format takes for the format that is the source's own kind."""


@dataclass(frozen=True)
class OutputFormat:
    """A format that frames can be written in."""

    name: str
    """As --format takes it."""
    suffix: str
    """Suffix of the file or of the store, with its dot; empty for images."""
    doc: str
    """What it is, in a few words."""
    writer: str
    """`module:class` of its writer, which is imported when the format is first written."""
    layout: Literal["file", "images", "store"] = "file"
    """One file; a folder with an image for each frame; or a folder that programs take for one file."""
    library: tuple[str, str] | None = None
    """The module that it takes beside those that are always there, and the extra of this package that installs it."""
    folder: str = ""
    """Name of the folder of its images; empty where they stand in that of the forecast."""
    placed: bool = False
    """Whether it says where and when its frames are, so that frames that show two things beside each other are none."""
    stacks_members: bool = False
    """Whether one file of it holds all members of a forecast, along an axis of their own."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, and not one file."""
        return self.layout != "file"

    def load_writer(self) -> type["FrameWriter"]:
        """The class of its writer."""
        writer: type[FrameWriter] = pkgutil.resolve_name(self.writer)
        return writer

    def check_library(self) -> None:
        """Raises DependencyError, with the line that installs it, where the library that it takes is missing."""
        if self.library is not None:
            load_extra(*self.library, f"--format {self.name}", "written")


_WRITERS = "convlstm_cli.video.writers"
_TIFF = ("tifffile", "tiff")

# fmt: off
OUTPUT_FORMATS = Registry(
    "output format",
    (
        OutputFormat("png", "", "numbered images of 8 or 16 bits in a folder, exact", f"{_WRITERS}.png:PngWriter",
                     "images"),
        OutputFormat("webm", ".webm", "VP9 video, which every browser plays", f"{_WRITERS}.pyav_video:WebmWriter"),
        OutputFormat("mp4", ".mp4", "H.264 video, which everything plays", f"{_WRITERS}.pyav_video:Mp4Writer"),
        OutputFormat("gif", ".gif", "exact in grey, 256 colours a frame in colour", f"{_WRITERS}.gif:GifWriter"),
        OutputFormat("lossless", ".mkv", "FFV1 video in Matroska, exact", f"{_WRITERS}.pyav_video:LosslessWriter"),
        OutputFormat("npy", ".npy", "NumPy array of the source's type, exact", f"{_WRITERS}.npy:NpyWriter",
                     stacks_members=True),
        OutputFormat("npz", ".npz", "NumPy array with times and unit, exact", f"{_WRITERS}.npz:NpzWriter", placed=True,
                     stacks_members=True),
        OutputFormat("tiff", ".tif", "stack with its axes for ImageJ or OME, exact", f"{_WRITERS}.tiff:TiffWriter",
                     library=_TIFF, placed=True),
        OutputFormat("geotiff", "", "an image for each frame at the source's place", f"{_WRITERS}.tiff:GeotiffWriter",
                     "images", library=_TIFF, folder="geotiff", placed=True),
        OutputFormat("netcdf", ".nc", "NetCDF-4 with the source's coordinates, CF", f"{_WRITERS}.netcdf:NetcdfWriter",
                     library=("netCDF4", "netcdf"), placed=True, stacks_members=True),
        OutputFormat("zarr", ".zarr", "as NetCDF, in a zarr store", f"{_WRITERS}.zarr_store:ZarrWriter",
                     "store", library=("zarr", "zarr"), placed=True, stacks_members=True),
        OutputFormat("hdf5", ".h5", "as NetCDF, in an HDF5 file", f"{_WRITERS}.hdf5:Hdf5Writer",
                     library=("h5py", "hdf5"), placed=True, stacks_members=True),
    ),
)
# fmt: on
