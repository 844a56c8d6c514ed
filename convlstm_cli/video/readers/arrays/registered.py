"""The readers of arrays, and which of them a file name belongs to."""

from pathlib import Path

from convlstm_cli.video.readers.arrays import dicom, hdf5, netcdf, npy, npz, tiff, zarr_store
from convlstm_cli.video.readers.reader import Reader
from convlstm_cli.video.sequences.names import split_suffix

ARRAY_READERS = (npy.READER, npz.READER, hdf5.READER, netcdf.READER, zarr_store.READER, dicom.READER, tiff.READER)
SUFFIXES = frozenset().union(*(reader.suffixes for reader in ARRAY_READERS))


def array_reader_of(path: Path) -> Reader | None:
    """The reader of an array file, by its suffix, or by the header of a TIFF; None for other files."""
    if tiff.has_axes(path):
        return tiff.READER
    suffix = split_suffix(path.name)[1].lower()
    return next((reader for reader in ARRAY_READERS if suffix in reader.suffixes), None)


def is_still(path: Path) -> bool:
    """Whether an array file holds a single frame, so that it may be one of a sequence of files."""
    reader = array_reader_of(path)
    return reader is not None and reader.is_still is not None and reader.is_still(path)
