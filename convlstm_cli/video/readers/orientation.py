"""Images turned and mirrored as they ask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An image (H, W, ...) stored in one of the orientations 1 to 8 of TIFF 6.0 and EXIF, as it is to be shown."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(image[rows, columns])
