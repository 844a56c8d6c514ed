"""Images in memory, decoded by OpenCV."""

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.opencv import MAX_PIXELS, cv2, silence
from convlstm_cli.video.readers import tiff_image
from convlstm_cli.video.readers.in_memory import open_memory
from convlstm_cli.video.readers.orientation import upright
from convlstm_cli.video.readers.page_list import first_mask, mask_as_image
from convlstm_cli.video.readers.tiff_tags import TiffTags, tags_in
from convlstm_cli.video.values import native

PALETTE, GREY_AND_ALPHA, COLOUR_AND_ALPHA = 3, 4, 6
"""Colour types of a PNG (third edition, section 11.2.1)."""
HEAD = 4096
"""Bytes at the beginning of a file that show whether an image has an alpha channel."""

OPAQUE = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
"""How OpenCV decodes an image without alpha, turned as EXIF asks, and grey or 16-bit if the file is."""


class DamagedImageError(InputError):
    """An image that cannot be decoded; others beside it may be sound."""


def decode_image(content: NDArray[np.uint8], source: str, *, holes: bool = False) -> NDArray[np.generic]:
    """The first page of an image of any type of pixels, (H, W) or (H, W, 3) in OpenCV's order BGR.

    `content` are the N bytes of its file. Pixels that are transparent in part stand in front of black, and the image is
    turned as its EXIF data asks. What a TIFF shows as white is bright, and what GDAL says it scales is scaled, with NaN
    for its missing value. Where its mask or its alpha is 0, a TIFF has its missing value, or else NaN. With `holes` an
    image is float32, with NaN where it is wholly transparent.

    Raises InputError, which begins with `source`, and DamagedImageError where it cannot be decoded.
    """
    tags = tags_in(content)
    if tags is not None:
        pixels, gone = _decode_tiff(source, content, tags)
        pixels = pixels if gone is None else without(pixels, gone, tags)
        return pixels.astype(np.float32) if holes else pixels
    image = _with_alpha(content, source)
    if image is not None:
        shown = over_black(image[:, :, :-1], image[:, :, -1:], holes=holes)
        return _turned(shown[:, :, 0] if shown.shape[2] == 1 else shown, content)
    pixels = _imdecode(source, content, OPAQUE)
    return pixels.astype(np.float32) if holes else pixels


def transparent_type(content: NDArray[np.uint8], source: str) -> np.dtype[Any] | None:
    """The type of the pixels of an image of which some are wholly transparent; None where none is, or it is damaged.

    None also for a TIFF whose own type has a value for them.
    """
    tags = tags_in(content)
    try:
        if tags is not None:
            gone = _decode_tiff(source, content, tags)[1] if tags.gaps_are_floats else None
            return None if gone is None or not gone.any() else tags.dtype
        image = _with_alpha(content, source)
    except DamagedImageError:
        return None
    return None if image is None or image[:, :, -1].all() else image.dtype


def without(pixels: NDArray[Any], gone: NDArray[np.bool_], tags: TiffTags) -> NDArray[Any]:
    """Pixels of a TIFF with its missing value where they are gone; floats with NaN where its type has none.

    `gone` has as many axes as the pixels, or lacks the last.
    """
    if not gone.any():
        return pixels
    gone = gone if gone.ndim == pixels.ndim else gone[..., None]
    if (fill := tags.packing.missing_value(pixels.dtype)) is not None:
        return np.where(gone, pixels.dtype.type(fill), pixels)
    floats = as_floats(pixels)
    return np.where(gone, floats.dtype.type(np.nan), floats)


def as_floats(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels as floats of 32 bits, or of 64 for integers of 4 bytes and more; floats as they are."""
    if pixels.dtype.kind == "f":
        return pixels
    return pixels.astype(np.float64 if pixels.dtype.itemsize > 2 else np.float32)


def mask_gaps(content: NDArray[np.uint8], offset: int, size: tuple[int, ...], source: str) -> NDArray[np.bool_]:
    """Where the mask of a TIFF of N bytes, whose directory is at `offset`, is 0, (H, W).

    `size` is that of the page that it belongs to. Raises as `decode_image`.
    """
    content = content if content.flags.writeable else content.copy()
    with mask_as_image(content, offset):
        mask = decode_image(content, f"{source}: its mask")
    if mask.shape != size:
        raise DamagedImageError(
            f"{source}: is {size[0]}x{size[1]} pixels and its mask {mask.shape[0]}x{mask.shape[1]}; save it with a "
            "mask of its size and of one band, or without."
        )
    return np.asarray(mask == 0)


def over_black(colours: NDArray[Any], alpha: NDArray[Any], *, holes: bool = False) -> NDArray[Any]:
    """Colours (H, W, C) in front of black, of their type; with `holes` float32, with NaN where alpha is 0.

    `alpha` is (H, W, 1), of the same type; its full value is the type's largest, or 1 of floats.
    """
    if colours.dtype.kind == "f":
        shown = colours * np.clip(alpha, 0, 1)
    else:
        full = np.iinfo(colours.dtype).max
        wide = np.uint16 if colours.dtype == np.uint8 else np.uint64
        shown = ((colours.astype(wide) * alpha + full // 2) // full).astype(colours.dtype)
    return np.where(alpha > 0, shown, np.float32(np.nan)).astype(np.float32) if holes else np.ascontiguousarray(shown)


def _with_alpha(content: NDArray[np.uint8], source: str) -> NDArray[Any] | None:
    """An image that has an alpha channel, (H, W, 2) or (H, W, 4) in the order BGRA; None for others."""
    if not may_have_alpha(content[:HEAD].tobytes()):
        return None
    image = _imdecode(source, content, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 4:
        return None
    is_grey = content[0] == 0x89 and content[25] == GREY_AND_ALPHA
    return image[:, :, 2:] if is_grey else image  # OpenCV repeats the grey channel


def to_frame(pixels: NDArray[np.generic], source: str) -> Frame:
    """A decoded image as (H, W, C) of its own type, C = 1 or 3. Raises InputError, which begins with `source`."""
    kept = native(pixels, source)
    if kept.ndim == 2:
        return kept[:, :, None]
    if kept.dtype == np.uint8:
        return np.asarray(cv2.cvtColor(kept, cv2.COLOR_BGR2RGB))
    return np.ascontiguousarray(kept[:, :, ::-1])


def may_have_alpha(head: bytes) -> bool:
    """Whether an image is a PNG or WebP with an alpha channel, by the first `HEAD` bytes of its file.

    The fourth band of a TIFF may be another colour.
    """
    if len(head) < 26:
        return False
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        colour_type = head[25]
        return colour_type in (GREY_AND_ALPHA, COLOUR_AND_ALPHA) or (colour_type == PALETTE and b"tRNS" in head)
    return head[8:12] == b"WEBP" and ((head[12:16] == b"VP8X" and bool(head[20] & 16)) or head[12:16] == b"VP8L")


def _turned(image: NDArray[np.generic], content: NDArray[np.uint8]) -> NDArray[np.generic]:
    """An image turned as its EXIF data asks, which OpenCV does for images without alpha only."""
    if b"eXIf" not in (data := content.tobytes()) and b"EXIF" not in data:
        return image
    from PIL import ExifTags, Image  # here, because it takes 30 ms to import, and few images need it

    with Image.open(io.BytesIO(data)) as described:
        orientation = described.getexif().get(ExifTags.Base.Orientation, 1)
    return upright(image, orientation)


def _decode_tiff(
    source: str, content: NDArray[np.uint8], tags: TiffTags
) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """The first page of a TIFF, and where its mask or its alpha is 0, (H, W); None where it has neither.

    It is decoded by tifffile where OpenCV fails, as for uncompressed tiles of 16x16 pixels. So are palettes of two
    colours, which OpenCV takes for greys, and greys and floats with alpha.
    """
    pixels = None
    if (tags.bits > 1 or not tags.has_palette) and (tags.alpha is None or tags.is_rgba):
        with contextlib.suppress(DamagedImageError):
            pixels = _imdecode(source, content, OPAQUE if tags.alpha is None else cv2.IMREAD_UNCHANGED)
    by_opencv = pixels is not None
    if pixels is None:
        try:
            pixels = tiff_image.decode_page(content, tags)
        except tiff_image.UnreadableTiffError as error:
            raise DamagedImageError(f"{source}: cannot be decoded: {error}.") from error
    gone = None
    if tags.alpha is not None:
        pixels, gone = pixels[:, :, :-1], pixels[:, :, -1] == 0
        pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    if by_opencv and tags.bits > 8:  # OpenCV counts others from black
        if tags.bits < 16 and pixels.dtype == np.uint16:
            pixels = np.right_shift(pixels, 16 - tags.bits, dtype=np.uint16)  # it moves 10, 12 and 14 bits to the top
        pixels = tags.from_black(pixels)
    if (offset := first_mask(open_memory(content))) is not None:
        outside = mask_gaps(content, offset, pixels.shape[:2], source)
        gone = outside if gone is None else gone | outside
    return tags.to_values(pixels), gone


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
