"""Video files of any codec and container, written by PyAV, for tests of the readers."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from convlstm_cli.video.colour import Frame


def moving_frames(count: int = 24, height: int = 32, width: int = 48, seed: int = 0) -> list[Frame]:
    """Colour frames with motion and some noise, no two alike."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    made = []
    for t in range(count):
        waves = (np.sin((columns + 3 * t) / 9), np.cos((rows + 2 * t) / 7), np.sin((rows + columns + t) / 13))
        pixels = 128 + 80 * np.stack(waves, -1) + random.normal(0, 4, (height, width, 3))
        made.append(np.clip(pixels, 0, 255).astype(np.uint8))
    return made


def encode(
    path: Path,
    codec: str,
    frames: Sequence[npt.NDArray[Any]],
    pixel_format: str = "yuv420p",
    *,
    rate: int | Fraction = 25,
    given_as: str = "rgb24",
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    adapt: Callable[[Any], None] = lambda _: None,
) -> Path:
    """Writes frames; `times` are counted in 1/rate, `adapt` may change the stream before it is opened."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"threads": "1", **(options or {})})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        adapt(stream)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=given_as)
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = (number if times is None else times[number]), 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
