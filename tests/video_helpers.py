"""Frames and files that the tests of the readers and writers of videos share."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.reader import Opener, array_reader
from convlstm_cli.video.readers.video_reader import TimedFrame
from convlstm_cli.video.values import KEPT_AS
from convlstm_cli.video.writers import open_writer

MakeFrames = Callable[..., list[Frame]]
MakeVideo = Callable[..., Path]

VIDEO_FORMATS = ("webm", "mp4", "lossless")
FILE_FORMATS = [output_format.name for output_format in OUTPUT_FORMATS.values() if not output_format.is_folder]


def write(path: Path, kind: str, frames: Iterable[npt.NDArray[np.generic]], fps: float = 10.0) -> Path:
    """Writes frames in one of the tool's formats; the path gets the format's suffix."""
    suffix = OUTPUT_FORMATS[kind].suffix
    target = path.with_suffix(suffix) if suffix else path
    with open_writer(target, kind, fps) as writer:
        for frame in frames:
            writer.write(frame)  # some tests write frames of another type
    return target


def read(path: Path) -> list[Frame]:
    """All frames of a video."""
    with open_video(path) as video:
        return list(video)


def kept_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which frames keep the values of another one."""
    return np.dtype(KEPT_AS.get(dtype.name, dtype.name))


def write_image(path: Path, pixels: npt.NDArray[np.generic]) -> Path:
    """Writes an image through Pillow, so that a mistake of ours in the order of channels cannot cancel itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@st.composite
def clips(draw: st.DrawFn, even: bool = False) -> list[Frame]:
    """Random frames, grey or in colour; with `even`, of even height and width."""
    step = 2 if even else 1
    height, width = (step * draw(st.integers(16 // step, 40 // step)) for _ in range(2))
    channels, count = draw(st.sampled_from([1, 3])), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return list(random.integers(0, 256, (count, height, width, channels), np.uint8))


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def frames_by(path: Path, opener: Opener) -> Iterator[TimedFrame]:
    """The frames of an array that is opened by the opener of one format, whatever the name of its file."""
    with array_reader("array", "", frozenset(), opener).open(path) as video:
        for pixels in video:
            yield TimedFrame(pixels, video.time)
