"""Files that no reader reads, or none under their name: what they are, and what to do with them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.video.natural import natsorted
from convlstm_cli.video.readers.arrays.registered import SUFFIXES
from convlstm_cli.video.readers.folders import IMAGES
from convlstm_cli.video.sequences.names import split_suffix

READ = IMAGES | SUFFIXES
"""Suffixes of files that are read, though their last part may be that of a kind below, as in `.pgm.gz`."""
HEAD = 512
"""Bytes at the beginning of a file that say what it is."""
MOST_KINDS = 3
"""Kinds that a message lists."""
SAVE_ARRAY = "save the frames with numpy.save as one .npy of the shape (T, H, W) or (T, H, W, 3)"
UNPACK = "unpack it and give the folder"
SAVE_IMAGES = "save each frame as a PNG, all of them in one folder"


@dataclass(frozen=True)
class Kind:
    """A kind of file that is not read."""

    name: str
    """With its article, such as `a zip archive`."""
    plural: str
    remedy: str
    """What to do, as an order."""
    begins: tuple[tuple[int, bytes], ...] = ()
    """Positions and bytes; a file of this kind has one of them."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of files that have no such bytes, or whose bytes are those of another kind."""
    read_as: str = ""
    """A suffix under which such files are read, if there is one."""


KINDS = (
    Kind("a numpy array", "numpy arrays", "rename it to .npy", ((0, b"\x93NUMPY"),), read_as=".npy"),
    Kind("a zip archive", "zip archives", UNPACK, ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")), (".zip",)),
    Kind("a tar archive", "tar archives", UNPACK, ((257, b"ustar"),), (".tar", ".tgz", ".tbz2", ".txz")),
    Kind("gzip-compressed", "gzip-compressed files", "unpack it and give what it holds", ((0, b"\x1f\x8b"),), (".gz",)),
    Kind("bzip2-compressed", "bzip2-compressed files", "unpack it and give what it holds", ((0, b"BZh"),), (".bz2",)),
    Kind("xz-compressed", "xz-compressed files", "unpack it and give what it holds", ((0, b"\xfd7zXZ\0"),), (".xz",)),
    Kind(
        "zstd-compressed",
        "zstd-compressed files",
        "unpack it and give what it holds",
        ((0, b"\x28\xb5\x2f\xfd"),),
        (".zst",),
    ),
    Kind("a 7z archive", "7z archives", UNPACK, ((0, b"7z\xbc\xaf\x27\x1c"),), (".7z",)),
    Kind("a rar archive", "rar archives", UNPACK, ((0, b"Rar!"),), (".rar",)),
    Kind(
        "a NetCDF file",
        "NetCDF files",
        "rename it to .nc",
        ((0, b"CDF\x01"), (0, b"CDF\x02"), (0, b"CDF\x05")),
        read_as=".nc",
    ),
    Kind("an HDF5 file", "HDF5 files", "rename it to .h5", ((0, b"\x89HDF\r\n\x1a\n"),), read_as=".h5"),
    Kind("an HDF4 file", "HDF4 files", SAVE_ARRAY, ((0, b"\x0e\x03\x13\x01"),)),
    Kind("a Matlab file", "Matlab files", SAVE_ARRAY, ((0, b"MATLAB 5.0"), (0, b"MATLAB 7.3")), (".mat",)),
    Kind("a GRIB file", "GRIB files", SAVE_ARRAY, ((0, b"GRIB"),), (".grib", ".grb", ".grib2", ".grb2")),
    Kind("a FITS file", "FITS files", SAVE_ARRAY, ((0, b"SIMPLE  ="),), (".fits", ".fit")),
    Kind("a DICOM file", "DICOM files", "rename it to .dcm", ((128, b"DICM"),), read_as=".dcm"),
    Kind("a NIfTI file", "NIfTI files", SAVE_ARRAY, ((344, b"n+1\0"), (344, b"ni1\0")), (".nii",)),
    Kind("a Parquet file", "Parquet files", SAVE_ARRAY, ((0, b"PAR1"),), (".parquet",)),
    Kind("a TFRecord file", "TFRecord files", SAVE_ARRAY, suffixes=(".tfrecord", ".tfrecords")),
    Kind("a PyTorch file", "PyTorch files", SAVE_ARRAY, suffixes=(".pt", ".pth")),
    Kind("a Python pickle", "Python pickles", SAVE_ARRAY, suffixes=(".pkl", ".pickle")),
    Kind("a PDF", "PDF files", SAVE_IMAGES, ((0, b"%PDF"),), (".pdf",)),
    Kind(
        "a Git LFS pointer, which stands for a file",
        "Git LFS pointers",
        "fetch the file with `git lfs pull`",
        ((0, b"version https://git-lfs"),),
    ),
    Kind(
        "a playlist, which names other files",
        "playlists",
        "give the videos that it names",
        ((0, b"#EXTM3U"), (0, b"ffconcat"), (0, b"[playlist]"), (0, b"<asx"), (0, b"<ASX"), (0, b"v=0")),
        (".m3u8", ".m3u", ".mpd", ".pls", ".asx", ".sdp"),
    ),
    Kind(
        "sound",
        "sound files",
        "give a file with moving pictures",
        ((0, b"ID3"), (0, b"fLaC"), (8, b"WAVE"), (4, b"ftypM4A")),
        (".mp3", ".wav", ".flac", ".m4a", ".aac", ".opus", ".wma"),
    ),
    Kind(
        "a web page or XML text",
        "web pages and XML texts",
        "give the video itself",
        ((0, b"<!DOC"), (0, b"<html"), (0, b"<?xml")),
    ),
    Kind("a table of text", "tables of text", SAVE_ARRAY, suffixes=(".csv", ".tsv")),
    *(
        Kind(f"a video in {name}", f"videos in {name}", f"rename it to {suffix}", ((at, head),), read_as=suffix)
        for name, suffix, at, head in (
            ("MP4 or QuickTime", ".mp4", 4, b"ftyp"),
            ("Matroska or WebM", ".mkv", 0, b"\x1aE\xdf\xa3"),
            ("AVI", ".avi", 8, b"AVI LIST"),
            ("GIF", ".gif", 0, b"GIF8"),
        )
    ),
)

TEXT = Kind("text", "texts", "give the video itself")
PRINTABLE = bytes(range(32, 127)) + b"\t\r\n\x1b"
"""Bytes of plain text, with the escapes of terminals."""


def kind_of(path: Path) -> Kind | None:
    """What a file is that its reader does not read; None where that is not known, or nothing is there."""
    if split_suffix(path.name)[1].lower() in READ and path.suffix.lower() == ".gz":
        return None
    suffix = path.suffix.lower()
    named = next((kind for kind in KINDS if suffix in kind.suffixes), None)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    shown = next((kind for kind in KINDS if any(head[at : at + len(b)] == b for at, b in kind.begins)), None)
    if shown is None and named is None and head and not head.translate(None, PRINTABLE):
        return TEXT
    # A suffix names a kind that is built on a container, such as NetCDF on HDF5 and .npz on zip; bytes do not lie.
    return named if shown is None or (named is not None and shown.name in _CONTAINERS) else shown


_CONTAINERS = frozenset({"a zip archive", "an HDF5 file", "gzip-compressed", "a web page or XML text"})
"""Kinds that others are built on."""


def unread_kinds(paths: Iterable[Path]) -> str:
    """What files are that no reader reads, such as `24 HDF5 files (.h5)`, with the remedy; empty where none is known.

    Looks at suffixes only, so that a folder of many files is fast.
    """
    counts: Counter[Kind] = Counter()
    suffixes: dict[Kind, set[str]] = {}
    for path in paths:
        suffix = path.suffix.lower()
        kind = next((kind for kind in KINDS if suffix in kind.suffixes), None)
        if kind is not None and split_suffix(path.name)[1].lower() not in READ:
            counts[kind] += 1
            suffixes.setdefault(kind, set()).add(suffix)
    if not counts:
        return ""
    phrases = [
        f"{count} {kind.plural} ({', '.join(natsorted(suffixes[kind]))})" if count > 1 else f"{kind.name}"
        for kind, count in counts.most_common(MOST_KINDS)
    ]
    return f"{' and '.join(phrases)}, which are not read; {counts.most_common(1)[0][0].remedy}"
