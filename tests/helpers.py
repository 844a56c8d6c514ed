"""Material that several test files use."""

import numpy as np
import numpy.typing as npt

TINY = ["--size", "32", "--hidden", "4", "--kernel-size", "3", "--input-frames", "4", "--frames", "3"]
"""Options of a network that trains in no time."""


def moving_square(frames: int, seed: int, size: int = 32, channels: int = 1) -> npt.NDArray[np.uint8]:
    """(T, size, size, channels): a bright square that moves 2 pixels a frame and comes in again on the other side."""
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, size, 2)
    down, right = rng.choice([-2, 2], 2)
    colour = rng.integers(120, 255, channels)
    video = np.full((frames, size, size, channels), 10, np.uint8)
    for t in range(frames):
        rows = (row + down * t + np.arange(8)) % size
        columns = (column + right * t + np.arange(8)) % size
        video[t][np.ix_(rows, columns)] = colour
    return video
