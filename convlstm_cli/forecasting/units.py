"""Which values of an input become [0, 1] for a network, and in which type its forecast comes back."""

from collections.abc import Sequence

import numpy as np

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.missing import Mask, gone
from convlstm_cli.video.readers.base import VideoReader
from convlstm_cli.video.values import BYTES, ValueRange, declared, known, range_of

LEAST_INSIDE = 0.5
"""Share of the input's values inside the range of a training below which people are warned."""


def range_for(
    video: VideoReader, inputs: Sequence[Frame], trained: ValueRange | None, missing: float | None
) -> ValueRange:
    """The range of values of an input: that of the training, unless this was of 8-bit pictures and the input is not.

    Then it is what the input declares, or else nearly all values of the `inputs`, its frames (H, W, C), other than
    `missing`.
    """
    if trained is not None and not trained.is_bytes:
        return trained
    if inputs[0].dtype == np.uint8:
        return BYTES
    if (found := declared(video.declared_range, video.unit)) is not None:
        return found
    return range_of(np.concatenate([known(frame, missing) for frame in inputs]), unit=video.unit)


def misfit(inputs: Sequence[Frame], values: ValueRange, missing: float | None) -> str | None:
    """What is wrong with an input whose values mostly lie outside a range, a clause; None where they do not."""
    if values.is_bytes:
        return None
    found = np.concatenate([known(frame, missing) for frame in inputs])
    inside = np.mean((found >= values.low) & (found <= values.high)) if found.size else 0.0
    if inside >= LEAST_INSIDE:
        return None
    held = range_of(found).describe() if found.size else "no value at all"
    return f"most of its values ({held}) lie outside the {values.describe()} of the training, and are clipped"


def always_missing(frames: Frame, missing: float | None) -> Mask | None:
    """Where no frame of an input (T, H, W, C) has a value, so that a forecast cannot know one; None for nowhere.

    Frames are marked, as `video.missing.mark` does.
    """
    holes = gone(frames, missing)
    everywhere = None if holes is None else np.asarray(holes.all(axis=0))
    return everywhere if everywhere is not None and everywhere.any() else None
