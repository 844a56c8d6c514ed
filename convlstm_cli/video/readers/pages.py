"""Images with several pages: stacks of TIFF pages, and animated WebP and PNG."""

import itertools
import struct
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import GREY_TOLERANCE
from convlstm_cli.video.readers.checks import EIGHT_BITS, check_pixels, reading
from convlstm_cli.video.readers.decoding import decode_image, over_black, to_frame, transparent_type
from convlstm_cli.video.readers.images import first_of, transparent_range
from convlstm_cli.video.readers.page_list import Page, iterate_pages, masks_of, put_first
from convlstm_cli.video.readers.palette import READ_AS_COLOURS, has_colours
from convlstm_cli.video.readers.reader import Reader
from convlstm_cli.video.readers.tiff_facts import tiff_facts
from convlstm_cli.video.readers.tiff_gaps import IN_ALPHA, IN_MASK
from convlstm_cli.video.readers.tiff_tags import SUFFIXES, TiffTags, read_tags
from convlstm_cli.video.readers.video_reader import EXACT_GREY, TimedFrame, VideoReader

MAPPED_PAGES = 64
"""Pages of a TIFF that are read from one map of the file."""


def open_pages(path: Path) -> VideoReader:
    """Opens an image file whose pages are the frames of a video. Raises InputError."""
    pages: list[Page] = []
    notes: list[str] = []
    try:
        with reading(path):
            pages.extend(iterate_pages(path))
    except (ValueError, struct.error):
        notes.append(f"is cut off or damaged after page {len(pages)}; the pages before are used")
    frames = sum(page.is_frame for page in pages) or 1
    if frames < len(pages):
        notes.append(f"{len(pages) - frames} of its {len(pages)} pages are smaller copies or masks, and no frames")
    if path.suffix.lower() in SUFFIXES:
        return _open_tiff(path, pages, frames, notes)
    times = _times(pages)
    holes = any((pixels[:, :, 3] == 0).any() for pixels in _composed(path, transparent=True))
    return VideoReader(
        path,
        READER.name,
        _read_animation(path, times, holes=holes),
        frames,
        _rate(times),
        GREY_TOLERANCE if path.suffix.lower() == ".webp" else EXACT_GREY,
        notes=notes,
        declared_range=transparent_range(np.dtype(np.uint8) if holes else None, notes),
    )


READER = Reader(
    "pages", "images of several pages: TIFF stacks, animated WebP and PNG", frozenset({".apng"}), open_pages
)


def _open_tiff(path: Path, pages: Sequence[Page], frames: int, notes: list[str]) -> VideoReader:
    tags = read_tags(path) or TiffTags()
    notes += tags.notes
    if has_colours(np.memmap(path, np.uint8, mode="r")):
        notes.append(READ_AS_COLOURS)
    masked = len(masks_of(pages))
    if masked:
        notes.append(IN_MASK if masked == frames else f"{IN_MASK} of {masked} of its {frames} frames")
    if tags.alpha is not None:
        notes.append(IN_ALPHA)
    gapped = _first_pages(path, pages) if masked or tags.alpha is not None else ()
    holes = first_of(transparent_type(content, str(path)) for content in gapped)
    return VideoReader(
        path,
        READER.name,
        _read_tiff(path, pages, tags.interval, holes=holes is not None),
        frames,
        notes=notes,
        unit=tags.packing.unit,
        missing=tags.missing,
        declared_range=EIGHT_BITS if holes == np.uint8 else None,
        facts=lambda: tiff_facts(path) if holes is None else tiff_facts(path).with_gaps(),
    )


def _first_pages(path: Path, pages: Sequence[Page]) -> Generator[NDArray[np.uint8], None, None]:
    """The content of a TIFF with each of its frames as the first page in turn."""
    for first in range(0, len(pages), MAPPED_PAGES):
        # Mapped anew, since what was read of a map counts as this process's memory until it is let go; copied on write.
        with reading(path):
            content = np.memmap(path, np.uint8, mode="c")
        for page in pages[first : first + MAPPED_PAGES]:
            if page.is_frame:
                # Each page as the first, since OpenCV walks through all pages before the one that it is asked for.
                put_first(content, page.offset)
                yield content


def _read_tiff(
    path: Path, pages: Sequence[Page], interval: float | None, *, holes: bool
) -> Generator[TimedFrame, None, None]:
    """The frames of a stack, `interval` seconds apart; with `holes` float32, with NaN where pixels are missing."""
    size: tuple[int, ...] | None = None
    numbers = [number for number, page in enumerate(pages, start=1) if page.is_frame]
    for done, content in enumerate(_first_pages(path, pages)):
        source = f"{path}: page {numbers[done]}"
        pixels = decode_image(content, source, holes=holes)
        size = size or pixels.shape[:2]
        if pixels.shape[:2] != size:
            raise InputError(
                f"{source} is {pixels.shape[0]}x{pixels.shape[1]} pixels and the first is "
                f"{size[0]}x{size[1]}; all pages must have one size."
            )
        yield TimedFrame(to_frame(pixels, source), None if interval is None else done * interval)


def _times(pages: Sequence[Page]) -> list[float] | None:
    """Seconds from the first frame to each; None where the pages say nothing, or that they take no time."""
    shown = [page.seconds for page in pages]
    if not shown or any(seconds is None or seconds <= 0 for seconds in shown[:-1]):
        return None
    return list(itertools.accumulate((seconds or 0.0 for seconds in shown[:-1]), initial=0.0))


def _rate(times: Sequence[float] | None) -> float | None:
    """Frames per second, where every frame is shown equally long."""
    if times is None or len(times) < 2:
        return None
    mean = times[-1] / (len(times) - 1)
    even = all(abs(after - before - mean) < 0.0015 for before, after in itertools.pairwise(times))
    return 1 / mean if even else None


def _read_animation(path: Path, times: Sequence[float] | None, *, holes: bool) -> Generator[TimedFrame, None, None]:
    """The frames of an animation, RGB; with `holes` float32, with NaN where they are wholly transparent."""
    for number, pixels in enumerate(_composed(path)):
        time = None if times is None or number >= len(times) else times[number]
        yield TimedFrame(over_black(pixels[:, :, :3], pixels[:, :, 3:], holes=holes), time)


def _composed(path: Path, *, transparent: bool = False) -> Generator[NDArray[np.uint8], None, None]:
    """The frames of an animation, (H, W, 4) with alpha; with `transparent` none where it has no alpha channel."""
    from PIL import Image  # here, because it takes 30 ms to import, and videos need none

    with reading(path):
        try:
            with Image.open(path) as image:
                check_pixels(path, image.height, image.width)
                if transparent and not image.has_transparency_data:
                    return
                still = 1 if image.info.get("default_image") else 0  # what programs without animation show
                for number in range(getattr(image, "n_frames", 1) - still):
                    image.seek(number + still)
                    yield np.array(image.convert("RGBA"))
        except (ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise InputError(f"{path}: is damaged ({error}); replace or remove it.") from error
