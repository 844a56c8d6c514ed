"""The ConvLSTM step a second time: plain Python floats and loops over the paper's sums, no tensor library."""

import math
from collections.abc import Callable
from typing import NamedTuple

Image = list[list[float]]
"""(H, W)"""
Images = list[Image]
"""(channels, H, W)"""


class Weights(NamedTuple):
    x: list[Images] | None
    """(4 * hidden, in, k, k), gates i, f, g, o; None without input."""
    h: list[Images]
    """(4 * hidden, hidden, r, r)"""
    b: list[float]
    """(4 * hidden,)"""
    c: tuple[Images, Images, Images] | None
    """W_ci, W_cf and W_co, each (hidden, H, W), or None."""


SIGMAS: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda z: 1.0 / (1.0 + math.exp(-z)),
    "hard_sigmoid_keras3": lambda z: min(max(z / 6.0 + 0.5, 0.0), 1.0),
    "hard_sigmoid_keras2": lambda z: min(max(0.2 * z + 0.5, 0.0), 1.0),
}


def convolve(images: Images, kernels: Images, row: int, column: int, padded: bool) -> float:
    """One value of the convolution of (channels, H, W) with (channels, k, k), zero outside the image."""
    total = 0.0
    for image, kernel in zip(images, kernels, strict=True):
        up = len(kernel) // 2 if padded else 0
        left = len(kernel[0]) // 2 if padded else 0
        for down, line in enumerate(kernel):
            for right, weight in enumerate(line):
                y, x = row + down - up, column + right - left
                if 0 <= y < len(image) and 0 <= x < len(image[0]):
                    total += weight * image[y][x]
    return total


def step(
    x: Images | None,
    h: Images,
    c: Images,
    weights: Weights,
    *,
    gate_activation: str = "sigmoid",
    padded: bool = True,
    cell_clip: float = math.inf,
    seen: tuple[Images, Images] | None = None,
) -> tuple[Images, Images]:
    """(x_t, h_{t-1}, c_{t-1}) of one batch item to (h_t, c_t).

    `seen` are the cell states c_{t-1} and c_t that the peepholes look at, where they shall be held constant.
    """
    sigma = SIGMAS[gate_activation]
    hidden, height, width = len(h), len(h[0]), len(h[0][0])
    new_h: Images = [[[0.0] * width for _ in range(height)] for _ in range(hidden)]
    new_c: Images = [[[0.0] * width for _ in range(height)] for _ in range(hidden)]
    for channel in range(hidden):
        for row in range(height):
            for column in range(width):
                i, f, g, o = (
                    weights.b[gate]
                    + convolve(h, weights.h[gate], row, column, padded=True)
                    + (0.0 if x is None or weights.x is None else convolve(x, weights.x[gate], row, column, padded))
                    for gate in range(channel, 4 * hidden, hidden)
                )
                old = c[channel][row][column]
                if weights.c is not None:
                    looked_at = old if seen is None else seen[0][channel][row][column]
                    i += weights.c[0][channel][row][column] * looked_at
                    f += weights.c[1][channel][row][column] * looked_at
                new = sigma(f) * old + sigma(i) * math.tanh(g)
                new = min(max(new, -cell_clip), cell_clip)
                if weights.c is not None:
                    looked_at = new if seen is None else seen[1][channel][row][column]
                    o += weights.c[2][channel][row][column] * looked_at
                new_c[channel][row][column] = new
                new_h[channel][row][column] = sigma(o) * math.tanh(new)
    return new_h, new_c
