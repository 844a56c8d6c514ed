"""Videos whose frames have given times."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from helpers import moving_square

from convlstm_cli.video.colour import to_channels


def timed_video(path: Path, times: Sequence[float], seed: int = 0) -> Path:
    """A video of a moving square, one frame at each time in seconds, exact to a hundredth of a millisecond."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 50000)
        stream.bit_rate = 400_000
        for time, pixels in zip(times, moving_square(len(times), seed), strict=True):
            frame = av.VideoFrame.from_ndarray(to_channels(pixels, 3), format="rgb24")
            frame.pts, frame.time_base = round(time * 50000), stream.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def at_rate(fps: float, frames: int) -> list[float]:
    """The times of evenly spaced frames."""
    return [number / fps for number in range(frames)]
