"""The frames that a forecast starts from, and the known frames that follow them."""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame, is_grey
from convlstm_cli.video.readers.base import VideoReader


@dataclass(frozen=True)
class InputClip:
    """The input frames of a forecast, and the known frames that follow them. Frame numbers count from 1."""

    inputs: list[Frame]
    last: int
    """Number of the last input frame."""
    following: Iterator[Frame]
    """The frames after it; each is read from the video when it is asked for."""
    followed: bool
    """Whether there is any such frame."""
    fps: float | None
    grey: bool
    """Whether no input frame has colour."""

    @property
    def first(self) -> int:
        """Number of the first input frame."""
        return self.last - len(self.inputs) + 1


def read_clip(video: VideoReader, input_frames: int, at: int | None) -> InputClip:
    """Reads the `input_frames` frames up to frame `at`, or up to the end of the video.

    There may be fewer, two at least. Raises InputError where there are fewer than two, or the video ends before `at`.
    """
    inputs: deque[Frame] = deque(maxlen=input_frames)
    last = 0
    for frame in itertools.islice(video, at):
        inputs.append(frame)
        last += 1
    if at is not None and last < at:
        raise InputError(f"{video.path}: has {last} frames, so --at can be at most {last}, not {at}.")
    if len(inputs) < 2:
        raise InputError(
            f"{video.path}: a single frame shows no motion; give a video of at least 2 frames or a later --at."
        )
    grey = all(is_grey(frame, video.grey_tolerance) for frame in inputs)
    ahead = list(itertools.islice(video, 1))
    return InputClip(list(inputs), last, itertools.chain(ahead, video), bool(ahead), video.fps, grey)
