"""Which of two axes of an array is time, by how much neighbours along each differ."""

from pathlib import Path

import numpy as np

from convlstm_cli.video.readers.arrays.layout import Layout
from convlstm_cli.video.readers.arrays.stored import Stored, read_frames

PLACES = 4
"""Places along each axis at which neighbours are compared."""
CLEAR = 2.0
"""How many times as much frames differ along the other axis from which content counts more than sizes."""
KNOWN = 256
"""Arrays whose answer is kept."""

_known: dict[tuple[object, ...], bool] = {}


def by_content(stored: Stored, layout: Layout, path: Path, key: tuple[object, ...]) -> Layout:
    """The layout with sequences and time exchanged where neighbours along the sequences are clearly more alike.

    Frames of one video change little from one to the next, and those of two videos have little in common. `key`
    identifies the array, which is looked at once. Raises InputError where it cannot be read.
    """
    if key not in _known:
        if len(_known) >= KNOWN:
            _known.clear()
        along_time, along_sequences = _differences(stored, layout, path)
        _known[key] = along_time > CLEAR * along_sequences
    if not _known[key]:
        return layout
    axes = layout.axes.translate(str.maketrans("NT", "TN"))
    return Layout(axes, "neighbours along the other axis differ more")


def _differences(stored: Stored, layout: Layout, path: Path) -> tuple[float, float]:
    """Mean absolute differences of neighbours in time, and of frames at one time of neighbouring sequences."""
    steps, sequences = (layout.size(stored.shape, letter) for letter in "TN")
    if min(steps, sequences) < 2:
        return 0.0, 0.0
    differences = []
    for place in range(PLACES):
        step, sequence = ((size - 2) * place // (PLACES - 1) for size in (steps, sequences))
        pair = read_frames(stored, layout, sequence, slice(step, step + 2), path).astype(np.float64)
        (beside,) = read_frames(stored, layout, sequence + 1, slice(step, step + 1), path).astype(np.float64)
        with np.errstate(invalid="ignore"):
            differences.append((_mean(np.abs(pair[1] - pair[0])), _mean(np.abs(beside - pair[0]))))
    along_time, along_sequences = np.mean(differences, axis=0)
    return float(along_time), float(along_sequences)


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """The mean of the finite values; 0 without any."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else 0.0
