"""Moving MNIST by the rules of its authors (Srivastava, Mansimov and Salakhutdinov 2015, section 4.1 and their code).

A digit starts anywhere in the box that its upper left corner may move in, 36 pixels wide and high for 28 pixels on a
canvas of 64, and moves at a tenth of the box, 3.6 pixels a frame, in any direction. The first frame is after the first
step. Where a step ends on or beyond a wall the digit is put onto the wall, and that component of its direction is
reversed. Positions are cut to whole pixels, and where digits overlap the brighter pixel counts.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

CANVAS = 64
"""Side of a frame in pixels."""
STEP = 0.1
"""Way per frame, as a share of the box."""
COUNT = 2
"""Digits of a sequence."""


def sequences(digits: Bytes, count: int, frames: int, key: tuple[int, ...]) -> Bytes:
    """Draws sequences; the same `key` (seed, purpose, number) gives the same ones.

    Args:
        digits: what to draw from, (N, side, side).
        count: sequences.
        frames: frames of each.
        key: non-negative numbers.

    Returns:
        (count, frames, 1, 64, 64).
    """
    random = np.random.default_rng(key)
    chosen = digits[random.integers(len(digits), size=(count, COUNT))]
    start = random.random((count, COUNT, 2))
    angle = random.random((count, COUNT)) * 2 * np.pi
    return draw(chosen, corners(start, angle, frames, CANVAS - digits.shape[-1]))[:, :, None]


def corners(start: Floats, angle: Floats, frames: int, box: int) -> Ints:
    """Where the upper left corners of digits are.

    Args:
        start: (..., 2), y and x before the first step, as shares of the box.
        angle: (...), directions in radians, from x towards y.
        frames: number of frames.
        box: side of the box in pixels.

    Returns:
        (..., frames, 2): y and x, 0 to `box`.
    """
    position = start.astype(np.float64)
    velocity = np.stack((np.sin(angle), np.cos(angle)), axis=-1)
    positions = np.empty((*angle.shape, frames, 2))
    for frame in range(frames):
        position = position + velocity * STEP
        crossed = (position <= 0) | (position >= 1)
        position = position.clip(0, 1)
        velocity = np.where(crossed, -velocity, velocity)
        positions[..., frame, :] = position
    return (positions * box).astype(np.int64)


def draw(digits: Bytes, at: Ints, canvas: int = CANVAS) -> Bytes:
    """Sequences (N, frames, canvas, canvas) of digits (N, k, side, side) at corners (N, k, frames, 2)."""
    count, _, frames, _ = at.shape
    side = digits.shape[-1]
    result = np.zeros((count * frames, canvas, canvas), np.uint8)
    # A view of every place that a digit can be at, so that all frames are written to at once.
    places = np.lib.stride_tricks.sliding_window_view(result, (side, side), axis=(1, 2), writeable=True)
    every = np.arange(count * frames)
    for index in range(at.shape[1]):
        y, x = at[:, index].reshape(-1, 2).T
        moving = digits[:, index].repeat(frames, axis=0)  # (N * frames, side, side)
        places[every, y, x] = np.maximum(places[every, y, x], moving)
    return result.reshape(count, frames, canvas, canvas)
