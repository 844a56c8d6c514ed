"""The output formats that frames can be written in. Imports no torch and no OpenCV.

A format is one entry of `OUTPUT_FORMATS`, which names its writer, a subclass of `writers.base.FrameWriter`. The option
--format, its help text, its check and everything that is written read this registry.
"""

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlstm_cli.registry import Registry

if TYPE_CHECKING:
    from convlstm_cli.video.writers.base import FrameWriter


@dataclass(frozen=True)
class OutputFormat:
    """A format that frames can be written in."""

    name: str
    """As --format takes it."""
    suffix: str
    """Suffix of the file, with its dot; empty for a format that is a folder of files."""
    doc: str
    """What it is, in a few words."""
    writer: str
    """`module:class` of its writer, which is imported when the format is first written."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files, and not one file."""
        return not self.suffix

    def load_writer(self) -> type["FrameWriter"]:
        """The class of its writer."""
        writer: type[FrameWriter] = pkgutil.resolve_name(self.writer)
        return writer


_WRITERS = "convlstm_cli.video.writers"

OUTPUT_FORMATS = Registry(
    "output format",
    (
        OutputFormat("png", "", "numbered images of 8 or 16 bits in a folder, exact", f"{_WRITERS}.png:PngWriter"),
        OutputFormat("webm", ".webm", "VP9 video, which every browser plays", f"{_WRITERS}.pyav_video:WebmWriter"),
        OutputFormat("mp4", ".mp4", "H.264 video, which everything plays", f"{_WRITERS}.pyav_video:Mp4Writer"),
        OutputFormat("gif", ".gif", "exact in grey, 256 colours a frame in colour", f"{_WRITERS}.gif:GifWriter"),
        OutputFormat("lossless", ".mkv", "FFV1 video in Matroska, exact", f"{_WRITERS}.pyav_video:LosslessWriter"),
        OutputFormat("npy", ".npy", "NumPy array of the source's type, exact", f"{_WRITERS}.npy:NpyWriter"),
    ),
)
