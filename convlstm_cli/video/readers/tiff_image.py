"""A page of a TIFF in memory that OpenCV does not decode, through tifffile."""

import importlib
import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.opencv import MAX_PIXELS
from convlstm_cli.video.readers.in_memory import open_memory
from convlstm_cli.video.readers.orientation import upright
from convlstm_cli.video.readers.tiff_tags import PALETTE, TiffTags

CODECS = "needs the library imagecodecs: `pip install imagecodecs`, or save it uncompressed with 8 or 16 bits a value"
"""What a message says of a TIFF that tifffile does not decode alone."""
GREYS, RGB = (0, 1), 2
"""Values of PhotometricInterpretation that are read beside PALETTE (TIFF 6.0)."""

ORIENTATION = 274
"""The tag that says how an image is to be turned."""


class UnreadableTiffError(Exception):
    """A TIFF that is not read. The text says why, a clause whose subject is the file."""


def decode_page(content: NDArray[np.uint8], tags: TiffTags) -> NDArray[np.generic]:
    """The first page of a TIFF of N bytes, (H, W) or (H, W, 3) in the order BGR, upright, counted from black.

    `tags` are those of the page. 1-bit values are 0 and 255, a palette's colours have 8 bits, and a fourth band is left
    out, as OpenCV has it. Alpha follows the others, (H, W, 2) or (H, W, 4).

    Raises UnreadableTiffError.
    """
    try:
        library: Any = importlib.import_module("tifffile")
    except ImportError:
        raise UnreadableTiffError(
            "OpenCV does not decode it; `pip install 'convlstm[tiff]'` reads more TIFFs"
        ) from None
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else it writes to standard error
    try:
        with open_memory(content) as file, library.TiffFile(file) as tiff:
            page = tiff.pages[0]
            _check(page, len(content), tags)
            return _as_decoded(page, tags)
    except UnreadableTiffError:
        raise
    except Exception as error:  # tifffile raises what it likes where a file is damaged
        raise UnreadableTiffError(needed_codecs(error) or f"it is damaged ({error})") from error


def needed_codecs(error: Exception) -> str | None:
    """What a message says of an error of tifffile that comes of a missing library; None for other errors."""
    return f"it {CODECS}" if "imagecodecs" in str(error) else None


def _check(page: Any, size: int, tags: TiffTags) -> None:
    """Refuses what tifffile would decode in part, or not as colours: `size` are the bytes of the file."""
    kind = int(page.photometric)
    if (
        kind not in (*GREYS, RGB, PALETTE)
        or page.imagedepth > 1
        or (kind != RGB and page.samplesperpixel > 1 + (kind != PALETTE and tags.alpha is not None))
    ):
        raise UnreadableTiffError("its colours are of a kind that is not read; save it as grey or RGB")
    if page.imagelength * page.imagewidth > MAX_PIXELS:
        raise UnreadableTiffError(f"it claims more than the {MAX_PIXELS} pixels that are decoded; make it smaller")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    # It fills what is not there with zeros.
    if len(segments) < math.prod(page.chunked) or any(not count or at + count > size for at, count in segments):
        raise UnreadableTiffError("it is cut off")


def _as_decoded(page: Any, tags: TiffTags) -> NDArray[np.generic]:
    pixels: NDArray[Any] = tags.from_black(np.asarray(page.asarray()))
    kind = int(page.photometric)
    if pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1) if int(page.planarconfig) == 2 else pixels
        pixels = pixels[:, :, [*((2, 1, 0) if kind == RGB else (0,)), *([] if tags.alpha is None else [tags.alpha])]]
    if kind == PALETTE:
        colours = np.asarray(page.colormap)  # (3, 2 to the bits), of 16 bits
        pixels = (colours[::-1, pixels.astype(np.intp)] >> 8).astype(np.uint8).transpose(1, 2, 0)
    pixels = pixels * np.uint8(255) if pixels.dtype == bool else pixels
    return upright(pixels, int(page.tags.valueof(ORIENTATION, 1)))
