"""Images with several pages: stacks of TIFF pages, and animated WebP and PNG."""

import itertools
import struct
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import GREY_TOLERANCE
from convlstm_cli.video.readers.checks import check_pixels, reading
from convlstm_cli.video.readers.decoding import decode_image, over_black, to_frame
from convlstm_cli.video.readers.images import transparent_range
from convlstm_cli.video.readers.page_list import Page, iterate_pages, put_first
from convlstm_cli.video.readers.reader import Reader
from convlstm_cli.video.readers.tiff_facts import tiff_facts
from convlstm_cli.video.readers.tiff_tags import TiffTags, read_tags
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
    if path.suffix.lower() in (".tif", ".tiff"):
        tags = read_tags(path) or TiffTags()
        notes += tags.notes
        return VideoReader(
            path,
            READER.name,
            _read_tiff(path, pages, tags.interval),
            frames,
            notes=notes,
            unit=tags.packing.unit,
            missing=tags.missing,
            facts=lambda: tiff_facts(path),
        )
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


def _read_tiff(path: Path, pages: Sequence[Page], interval: float | None) -> Generator[TimedFrame, None, None]:
    """The frames of a stack, `interval` seconds apart."""
    size: tuple[int, ...] | None = None
    done = 0
    for first in range(0, len(pages), MAPPED_PAGES):
        # Mapped anew, since what was read of a map counts as this process's memory until it is let go; copied on write.
        with reading(path):
            content = np.memmap(path, np.uint8, mode="c")
        for number, page in enumerate(pages[first : first + MAPPED_PAGES], start=first + 1):
            if not page.is_frame:
                continue
            # Each page as the first, since OpenCV walks through all pages before the one that it is asked for.
            put_first(content, page.offset)
            source = f"{path}: page {number}"
            pixels = decode_image(content, source)
            size = size or pixels.shape[:2]
            if pixels.shape[:2] != size:
                raise InputError(
                    f"{path}: page {number} is {pixels.shape[0]}x{pixels.shape[1]} pixels and the first is "
                    f"{size[0]}x{size[1]}; all pages must have one size."
                )
            yield TimedFrame(to_frame(pixels, source), None if interval is None else done * interval)
            done += 1


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
