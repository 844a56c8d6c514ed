"""Images in memory, decoded by OpenCV."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.opencv import MAX_PIXELS, cv2, silence
from convlstm_cli.video.values import native

PALETTE, GREY_AND_ALPHA, COLOUR_AND_ALPHA = 3, 4, 6
"""Colour types of a PNG (third edition, section 11.2.1)."""


class DamagedImageError(InputError):
    """An image that cannot be decoded; others beside it may be sound."""


def decode_image(content: NDArray[np.uint8], source: str) -> NDArray[np.generic]:
    """The first page of an image of any type of pixels, (H, W) or (H, W, 3) in OpenCV's order BGR.

    `content` are the N bytes of its file. Transparent pixels stand in front of black, and the image is turned as its
    EXIF data asks. Raises InputError, which begins with `source`, and DamagedImageError where it cannot be decoded.
    """
    if _may_have_alpha(content):
        image = _imdecode(source, content, cv2.IMREAD_UNCHANGED)
        if image.ndim == 3 and image.shape[2] == 4:
            if content[25] == GREY_AND_ALPHA and content[0] == 0x89:
                image = image[:, :, 2:]  # OpenCV repeats the grey channel
            return _turned(_over_black(image), content)
    # Without alpha, turned as EXIF asks, and grey or 16-bit if the file is.
    return _imdecode(source, content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)


def to_frame(pixels: NDArray[np.generic], source: str) -> Frame:
    """A decoded image as (H, W, C) of its own type, C = 1 or 3. Raises InputError, which begins with `source`."""
    kept = native(pixels, source)
    if kept.ndim == 2:
        return kept[:, :, None]
    if kept.dtype == np.uint8:
        return np.asarray(cv2.cvtColor(kept, cv2.COLOR_BGR2RGB))
    return np.ascontiguousarray(kept[:, :, ::-1])


def _may_have_alpha(content: NDArray[np.uint8]) -> bool:
    """Whether an image is a PNG or WebP with an alpha channel. The fourth band of a TIFF may be another colour."""
    head = content[:26].tobytes()
    if len(head) < 26:
        return False
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        colour_type = head[25]
        return colour_type in (GREY_AND_ALPHA, COLOUR_AND_ALPHA) or (
            colour_type == PALETTE and b"tRNS" in content[:4096].tobytes()
        )
    return head[8:12] == b"WEBP" and ((head[12:16] == b"VP8X" and bool(head[20] & 16)) or head[12:16] == b"VP8L")


def _turned(image: NDArray[np.generic], content: NDArray[np.uint8]) -> NDArray[np.generic]:
    """An image turned as its EXIF data asks, which OpenCV does for images without alpha only."""
    if b"eXIf" not in (data := content.tobytes()) and b"EXIF" not in data:
        return image
    with Image.open(io.BytesIO(data)) as described:
        orientation = described.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(image[rows, columns])


def _over_black(image: NDArray[Any]) -> NDArray[np.generic]:
    """An image with alpha (H, W, 2 or 4) in front of black, (H, W) or (H, W, 3), of the same type."""
    if image.dtype.kind == "f":
        shown = image[:, :, :-1] * np.clip(image[:, :, -1:], 0, 1)
    else:
        full = np.iinfo(image.dtype).max
        alpha = image[:, :, -1:].astype(np.uint64)
        shown = ((image[:, :, :-1] * alpha + full // 2) // full).astype(image.dtype)
    return shown[:, :, 0] if shown.shape[2] == 1 else np.ascontiguousarray(shown)


def _imdecode(source: str, content: NDArray[np.uint8], flags: int) -> NDArray[np.generic]:
    try:
        with silence():
            image = cv2.imdecode(content, flags) if content.size else None
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise InputError(
                f"{source}: claims more than the {MAX_PIXELS} pixels that are decoded; make it smaller, or replace it "
                "if it is damaged."
            ) from error
        image = None
    if image is None:
        raise DamagedImageError(f"{source}: is damaged or not an image that OpenCV can read; replace or remove it.")
    return np.asarray(image)
