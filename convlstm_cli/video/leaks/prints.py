"""The print of a frame: its brightness on a coarse grid, by which the same moment is found again."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.colour import Frame, luminance

SIDE = 8
"""Cells of a print along each axis of a frame."""
CELLS = SIDE * SIDE
"""Bytes of a print."""

Prints: TypeAlias = NDArray[np.uint8]
"""(T, CELLS): the mean luminance of each cell of each frame, 0...255, row by row."""


def print_of(frame: Frame) -> Prints:
    """The print (CELLS,) of a frame (H, W, C), of at least `SIDE` pixels each way, none missing.

    Compression, another size of the source and noise change a cell by a level or two, since it is a mean. Values of
    other types than uint8 have no known black and white: there 0 and 255 are the least and the largest cell.
    """
    grey = np.ascontiguousarray(luminance(frame)[:, :, 0])
    if grey.dtype != np.uint8:
        cells = np.asarray(cv2.resize(grey.astype(np.float64), (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        low, span = cells.min(), max(float(np.ptp(cells)), np.finfo(np.float64).tiny)
        return np.asarray(np.rint((cells - low) / span * 255), np.uint8).reshape(CELLS)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8).reshape(CELLS)
