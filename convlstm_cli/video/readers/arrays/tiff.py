"""TIFF files whose pages are more than frames, through tifffile: channels and planes of ImageJ and OME, many bands."""

import functools
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Key, Stored, Values
from convlstm_cli.video.readers.checks import EIGHT_BITS, reading
from convlstm_cli.video.readers.decoding import as_floats, mask_gaps, without
from convlstm_cli.video.readers.page_list import iterate_pages, masks_of
from convlstm_cli.video.readers.tiff_facts import tiff_facts
from convlstm_cli.video.readers.tiff_gaps import IN_ALPHA, IN_MASK
from convlstm_cli.video.readers.tiff_image import needed_codecs
from convlstm_cli.video.readers.tiff_tags import TiffTags, read_tags, tiff_tags
from convlstm_cli.video.source import SourceFacts

if TYPE_CHECKING:
    import tifffile

DIMS = {"T": "time", "C": "channel", "S": "band", "Y": "y", "X": "x"}
"""Names of tifffile's axes."""


class TiffStack:
    """The first series of pages of a TIFF. Planes in depth are sequences where there is time too, else time."""

    def __init__(self, path: Path, source: Path) -> None:
        """`source` is the file that messages name. Raises InputError, or DependencyError without tifffile."""
        library = load_extra("tifffile", "tiff", source)
        logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else it writes to standard error
        self._path, self._source = path, source
        try:
            with reading(source):
                self._file: tifffile.TiffFile = library.TiffFile(path)
                self._series = self._file.series[0]
        except InputError:
            raise
        except Exception as error:  # tifffile raises what it likes where a file is damaged
            raise InputError(f"{source}: is damaged or not a TIFF ({error}); copy or download it again.") from error
        self._tags = read_tags(path) or TiffTags()
        if self._series.size < self._tags.images * self._series.keyframe.size:
            self._file.close()
            raise InputError(
                f"{source}: is cut off: it holds fewer than the {self._tags.images} images that it says; copy or "
                "download it again."
            )
        self._masks = masks_of(iterate_pages(path))
        self._gapped = bool(self._masks) or self._tags.alpha is not None
        self._shape = tuple(
            len(self._tags.bands) if letter == "S" and self._tags.alpha is not None else size
            for letter, size in zip(self._series.axes, self._series.shape, strict=True)
        )
        self.shapes: Mapping[str, tuple[int, ...]] = {"": self._shape}

    def stored(self, name: str) -> Stored:
        """The stack."""
        assert not name
        series = self._series
        tags = self._tags
        dtype = np.dtype(series.dtype)
        return Stored(
            shape=self._shape,
            dtype=dtype,
            read=self._read,
            dims=self._dims(),
            to_values=lambda raw: _with_gaps(tags.to_values(raw), tags.missing),
            unit=tags.packing.unit,
            missing=tags.missing if dtype.kind in "iu" else None,
            declared_range=EIGHT_BITS if dtype == np.uint8 and self._has_holes else None,
            times=self._times(),
            note="; ".join([*tags.notes, *[IN_MASK] * bool(self._masks), *[IN_ALPHA] * (tags.alpha is not None)])
            or None,
            facts=self._facts,
            close=self._file.close,
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _dims(self) -> tuple[str, ...]:
        axes = self._series.axes
        sizes = dict(zip(axes, self._shape, strict=True))
        timed = sizes.get("T", 1) > 1
        names = DIMS | dict.fromkeys("ZQIR", "sample" if timed else "time")
        return tuple(names.get(letter, letter) if sizes[letter] > 1 or letter in "YX" else "one" for letter in axes)

    def _facts(self) -> SourceFacts:
        facts = tiff_facts(self._path)
        return facts.with_gaps() if self._has_holes else facts

    def _times(self) -> tuple[float, ...] | None:
        """Times of the frames, where ImageJ or OME names the interval."""
        interval, axes = self._tags.interval, self._series.axes
        if interval is None or "T" not in axes:
            return None
        return tuple(float(number * interval) for number in range(self._series.shape[axes.index("T")]))

    def _read(self, key: Key) -> Values:
        series = self._series
        if series.dataoffset is not None and not self._gapped:
            mapped = np.memmap(
                self._path, self._file.byteorder + np.dtype(series.dtype).str[1:], "r", series.dataoffset, series.shape
            )
            return self._tags.from_black(np.array(mapped[key]))
        leading = len(series.shape) - series.keyframe.ndim
        chosen: Any = np.arange(math.prod(series.shape[:leading])).reshape(series.shape[:leading])[key[:leading]]
        numbers = np.asarray(chosen)
        pages = [self._page(int(number))[key[leading:]] for number in numbers.ravel()]
        return np.stack(pages).reshape(*numbers.shape, *pages[0].shape)

    def _page(self, number: int) -> Values:
        """A page of the series, counted from black and without alpha, with missing pixels."""
        pixels, gone = self._decoded(number)
        if gone is None:
            return pixels
        return without(as_floats(pixels) if self._has_holes else pixels, gone, self._tags)

    def _decoded(self, number: int) -> tuple[Values, NDArray[np.bool_] | None]:
        """A page without alpha, and where its mask or its alpha is 0, which is None where it can have no gaps."""
        page = self._series.pages[number]
        try:
            pixels = self._tags.from_black(np.asarray(page.asarray()))
        except Exception as error:
            if (needed := needed_codecs(error)) is None:
                raise
            raise InputError(f"{self._source}: cannot be decoded: {needed}.") from error
        if not self._gapped:
            return pixels, None
        bands = self._series.keyframe.axes.find("S")
        shape = [1 if at == bands else size for at, size in enumerate(pixels.shape)]
        gone = np.zeros(shape, bool)
        if self._tags.alpha is not None:
            gone = np.take(pixels, [self._tags.alpha], axis=bands) == 0
            pixels = np.take(pixels, self._tags.bands, axis=bands)
        if (offset := self._masks.get(page.offset)) is not None:
            with reading(self._source):
                content = np.memmap(self._path, np.uint8, mode="c")
            size = tuple(length for at, length in enumerate(pixels.shape) if at != bands)
            gone = gone | mask_gaps(content, offset, size, f"{self._source}: page {number + 1}").reshape(shape)
        return pixels, gone

    @functools.cached_property
    def _has_holes(self) -> bool:
        """Whether a pixel is missing for which the type of the file has no value."""
        if not self._gapped or not self._tags.gaps_are_floats:
            return False
        try:
            found = (self._decoded(number)[1] for number in range(len(self._series.pages)))
            return any(gone is not None and gone.any() for gone in found)
        except Exception:  # tifffile raises what it likes where a file is damaged, which is said when it is read
            return False


def _with_gaps(raw: Values, missing: float | None) -> Values:
    """Floats with NaN for the value that stands for no measurement; integers as they are."""
    if missing is None or raw.dtype.kind != "f":
        return raw
    return np.where(raw == raw.dtype.type(missing), np.asarray(math.nan, raw.dtype), raw)


def has_axes(path: Path) -> bool:
    """Whether a TIFF is read here, and not page by page as frames."""
    tags = tiff_tags(path)
    return tags is not None and tags.has_axes


READER = array_reader("tiff", "TIFF stacks with channels and planes", frozenset(), TiffStack)
