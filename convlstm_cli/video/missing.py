"""Missing pixels: where they are, what stands in for them, and values that look like no data."""

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.values import known

Mask = NDArray[np.bool_]

LEAST_SHARE, MOST_SHARE = 0.01, 0.95
"""Shares of a frame's pixels between which a value that never moves may stand for no data."""
APART = 0.25
"""How far such a value lies from the others, in the distance between the least and the largest of these."""


def mark(frame: Frame, missing: float | None) -> Frame:
    """A frame of floats with NaN wherever it is infinite or has the value `missing`; integers stay as they are."""
    if frame.dtype.kind != "f":
        return frame
    gone = ~np.isfinite(frame)
    if missing is not None:
        gone |= frame == frame.dtype.type(missing)
    return np.where(gone, frame.dtype.type(np.nan), frame) if gone.any() else frame


def gone(frames: Frame, missing: float | None) -> Mask | None:
    """Where frames that were marked have no value; None where that is nowhere."""
    if frames.dtype.kind == "f":
        found = np.isnan(frames)
    elif missing is None:
        return None
    else:
        found = frames == missing
    return found if found.any() else None


def clear(frame: Frame, where: Mask, missing: float | None) -> Frame:
    """A copy of a frame with the value that stands for missing ones, NaN for floats, at some pixels."""
    cleared = frame.copy()
    cleared[where] = np.nan if frame.dtype.kind == "f" else missing
    return cleared


def filled(frame: Frame, where: Mask) -> Frame:
    """A frame (H, W, C) with the nearest value in its channel at the pixels `where`; 0 in a channel without any."""
    result = frame.copy()
    for channel in range(frame.shape[2]):
        holes = where[:, :, channel]
        if holes.all():
            result[:, :, channel] = 0
        elif holes.any():
            result[:, :, channel] = frame[:, :, channel].ravel()[_nearest(holes)]
    return result


def filled_clip(clip: Frame, where: Mask) -> Frame:
    """Frames (T, H, W, C) filled in space; a channel without any value in a frame is that of the nearest that has one.

    Of two frames equally near the earlier is taken. What no frame has is 0.
    """
    result = np.stack([filled(frame, holes) for frame, holes in zip(clip, where, strict=True)])
    empty = np.asarray(where.all(axis=(1, 2)))  # (T, C)
    for channel in np.flatnonzero(empty.any(axis=0)):
        there = np.flatnonzero(~empty[:, channel])
        for frame in np.flatnonzero(empty[:, channel]) if len(there) else ():
            nearest = there[np.argmin(np.abs(there - frame))]
            result[frame, :, :, channel] = result[nearest, :, :, channel]
    return result


def _nearest(holes: Mask) -> NDArray[np.intp]:
    """For each pixel (H, W) the position, row by row, of the nearest that is no hole."""
    _, labels = cv2.distanceTransformWithLabels(
        np.ascontiguousarray(holes, np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels)
    position = np.zeros(labels.max() + 1, np.intp)
    position[labels[~holes]] = np.flatnonzero(~holes)
    return np.asarray(position[labels])


class StandingApart:
    """Finds a value, the least or the largest of a video, that stands apart and never moves: it may mean no data.

    The least value of 8 bits is left out, since black is common.
    """

    def __init__(self) -> None:
        self._candidates: dict[float, tuple[Mask, float, float]] | None = None
        """By value: where it is, and the least and the largest of the others so far."""

    def add(self, frame: Frame) -> None:
        """Takes the next frame of a video."""
        if self._candidates is None:
            self._candidates = self._first(frame)
        for value, (mask, low, high) in list(self._candidates.items()):
            others = known(frame[~mask])
            if not others.size or ((frame == value) != mask).any():
                del self._candidates[value]
            else:
                self._candidates[value] = mask, min(low, float(others.min())), max(high, float(others.max()))

    def note(self) -> str | None:
        """The note about such a value, a clause; None where there is none."""
        for value, (mask, low, high) in (self._candidates or {}).items():
            if low < high and _is_apart(value, low, high):
                return (
                    f"the value {value:.9g} stands apart from the others ({low:.5g} to {high:.5g}) and never changes "
                    f"at {mask.mean():.0%} of the pixels; if it means no data, give --missing {value:.9g}"
                )
        return None

    @staticmethod
    def _first(frame: Frame) -> dict[float, tuple[Mask, float, float]]:
        values = known(frame)
        if not values.size or frame.dtype.kind == "b":
            return {}
        ends = {float(values.max())} | (set() if frame.dtype == np.uint8 else {float(values.min())})
        masks = {value: frame == value for value in ends}
        return {
            value: (mask, np.inf, -np.inf) for value, mask in masks.items() if LEAST_SHARE <= mask.mean() <= MOST_SHARE
        }


def _is_apart(value: float, low: float, high: float) -> bool:
    return max(low - value, value - high) > APART * (high - low)
