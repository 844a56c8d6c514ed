"""The print of a frame: its brightness on a coarse grid, by which the same moment is found again."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.colour import Frame, to_channels

SIDE = 8
"""Cells of a print along each axis of a frame."""
CELLS = SIDE * SIDE
"""Bytes of a print."""

Prints: TypeAlias = NDArray[np.uint8]
"""(T, CELLS): the mean luminance of each cell of each frame, 0...255, row by row."""


def print_of(frame: Frame) -> Prints:
    """The print (CELLS,) of a frame (H, W, C), C = 1 or 3, of at least `SIDE` pixels each way.

    Compression, another size of the source and noise change a cell by a level or two, since it is a mean.
    """
    grey = np.ascontiguousarray(to_channels(frame, 1)[:, :, 0])
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8).reshape(CELLS)
