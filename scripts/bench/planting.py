"""Anomalies that are planted into videos of normal behaviour, so that it is known which frames are abnormal."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.opencv import cv2

Frames = NDArray[np.uint8]
"""(T, H, W, C), C = 1 or 3."""
Random = np.random.Generator
Place = NDArray[np.float64]
"""Column and row in pixels."""

LASTING = 12
"""Frames that an object stands still or is there."""
FLASH = 3
"""Frames that a flash lasts."""
MOVING = 25.0
"""Levels of 255 by which a moving object differs from the background."""
LARGEST = 0.25
"""Largest share of a frame that is taken for one object."""


@dataclass(frozen=True)
class Sprite:
    """A moving object."""

    pixels: Frames
    """(1, h, w, C)."""
    mask: NDArray[np.float32]
    """(h, w) in [0, 1]."""
    velocity: Place
    """Columns and rows a frame."""


@dataclass(frozen=True)
class Planted:
    """A video with one anomaly."""

    frames: Frames
    shown: NDArray[np.bool_]
    """The frames that show something abnormal."""
    changes: NDArray[np.bool_]
    """Those that the frames before give no reason to expect: where something abnormal begins or ends."""


def moving_object(frames: Frames) -> Sprite | None:
    """The largest moving object of a video under a fixed camera that is seen whole; None where there is none."""
    background = np.median(frames[:: max(1, len(frames) // 60)], axis=0)
    best: tuple[int, int, NDArray[np.bool_], tuple[int, int, int, int]] | None = None
    for t in range(0, len(frames) - 2, 3):
        for area, mask, box in _objects(frames[t], background):
            if best is None or area > best[0]:
                best = area, t, mask, box
    if best is None:
        return None
    _, t, mask, (left, top, width, height) = best
    cut = np.s_[top : top + height, left : left + width]
    matched = cv2.matchTemplate(frames[t + 2], frames[t][cut], cv2.TM_SQDIFF)
    column, row = cv2.minMaxLoc(matched)[2]
    soft = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0), np.float32)
    return Sprite(frames[t][cut][None].copy(), soft[cut], np.array([column - left, row - top]) / 2)


def _objects(
    frame: Frames, background: NDArray[np.float64]
) -> list[tuple[int, NDArray[np.bool_], tuple[int, int, int, int]]]:
    """Area, mask and box of what differs from the background, is not too large and does not touch the edge."""
    apart = frame - background
    apart = np.abs(apart - np.median(apart, axis=(0, 1))).max(axis=-1).astype(np.float32)  # an exposure may change
    near = (cv2.GaussianBlur(apart, (0, 0), 1.5) > MOVING).astype(np.uint8)
    near = np.asarray(cv2.morphologyEx(near, cv2.MORPH_CLOSE, np.ones((11, 11), np.uint8)))
    count, labels, facts, _ = cv2.connectedComponentsWithStats(near)
    height, width = near.shape
    found = []
    for label in range(1, count):
        left, top, wide, high, area = facts[label].tolist()
        inside = left > 1 and top > 1 and left + wide < width - 1 and top + high < height - 1
        if inside and height * width / 500 < area < LARGEST * height * width:
            found.append((area, labels == label, (left, top, wide, high)))
    return found


def disc(random: Random, side: int, channels: int) -> Sprite:
    """A bright disc that moves a fortieth of a side a frame."""
    radius = max(2, round(side * 0.07))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    mask = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1).astype(np.float32)
    pixels = np.full((1, *mask.shape, channels), random.integers(180, 256, channels), np.uint8)
    angle = random.uniform(0, 2 * np.pi)
    return Sprite(pixels, mask, side / 40 * np.array([np.cos(angle), np.sin(angle)]))


def planted(frames: Frames, kind: str, sprite: Sprite, random: Random, at: int) -> Planted:
    """A copy of a video with an anomaly of a kind of `KINDS` that begins at frame `at`, from 0."""
    shown, changes = np.zeros((2, len(frames)), bool)
    copy = frames.copy()
    height, width = frames.shape[1:3]
    place = np.array([random.uniform(0.3, 0.7) * width, random.uniform(0.3, 0.7) * height])
    if kind == "flash":
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        far = np.hypot(columns - place[0], rows - place[1]) / (0.12 * width)
        light = 60 * np.exp(-np.square(far) / 2)[..., None]
        copy[at : at + FLASH] = np.clip(copy[at : at + FLASH] + light, 0, 255)
        shown[at : at + FLASH] = changes[at : at + FLASH + 1] = True
        return Planted(copy, shown, changes)
    scale = random.uniform(0.4, 0.8)
    path, abnormal, sudden = KINDS[kind]
    for t in range(len(frames)):
        where = path(place, sprite.velocity, t - at, width)
        if where is not None and _paste(copy[t], sprite, where, scale):
            shown[t], changes[t] = abnormal(t - at), sudden(t - at)
        elif path(place, sprite.velocity, t - at - 1, width) is not None:
            changes[t] = sudden(t - at)  # it is gone
    return Planted(copy, shown, changes)


def _paste(frame: Frames, sprite: Sprite, at: Place, scale: float) -> bool:
    """Draws a sprite with its middle at a place; returns whether any of it is in the frame."""
    high, wide = sprite.mask.shape
    height, width = frame.shape[:2]
    moved = np.array([[scale, 0, at[0] - scale * wide / 2], [0, scale, at[1] - scale * high / 2]], np.float32)
    cover = np.asarray(cv2.warpAffine(sprite.mask, moved, (width, height)))[..., None]
    pixels = np.asarray(cv2.warpAffine(sprite.pixels[0], moved, (width, height))).reshape(frame.shape)
    frame[:] = np.rint(frame * (1 - cover) + pixels * cover)
    return bool((cover > 0.1).any())


Path = Callable[[Place, Place, int, int], Place | None]
"""The place of an object a number of frames after the anomaly begins, from where it then is and its velocity; None
where it is not there. The last number is the width of the frame."""
When = Callable[[int], bool]


def _after(first: int, last: int) -> When:
    return lambda since: first <= since <= last


def _frozen(place: Place, velocity: Place, since: int, _: int) -> Place:
    return place + velocity * (min(since, 0) + max(since - LASTING, 0))


def _jumps(place: Place, velocity: Place, since: int, width: int) -> Place:
    return place + velocity * since + (np.array([0.25 * width, 0.0]) if since > 0 else 0.0)


EVER = 10**6
KINDS: dict[str, tuple[Path, When, When]] = {
    "against": (lambda place, velocity, since, _: place - velocity * since, _after(-EVER, EVER), _after(-EVER, EVER)),
    "reverses": (lambda place, velocity, since, _: place - velocity * abs(since), _after(1, EVER), _after(1, 2)),
    "frozen": (
        _frozen,
        _after(1, LASTING),
        lambda since: since in (1, 2, LASTING + 1, LASTING + 2),
    ),
    "jumps": (_jumps, _after(1, 2), _after(1, 2)),
    "appears": (
        lambda place, _, since, __: place if 0 <= since < LASTING else None,
        _after(0, LASTING - 1),
        lambda since: since in (0, 1, LASTING, LASTING + 1),
    ),
    "flash": (lambda *_: None, _after(0, FLASH - 1), _after(0, FLASH)),
}
"""For each kind the path of its object, the frames since its beginning that are abnormal, and those that are sudden."""


def area_under_curve(normal: NDArray[np.float64], abnormal: NDArray[np.float64]) -> float:
    """Share of pairs of a normal and an abnormal frame of which the abnormal one has the higher score (ROC AUC).

    Equal scores count half.
    """
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, abnormal, side="left")
    up_to = np.searchsorted(ordered, abnormal, side="right")
    return float((below + up_to).mean() / 2 / len(ordered))
