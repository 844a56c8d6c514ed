"""Pairs of videos that may show the same moments, found by sorting what their frames have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.leaks.prints import Prints

LAGS = (1, 2, 4)
"""Frames between which a change is looked at: from quick motion to slow motion."""
LEAST_CHANGE = 6
"""Levels between the cells that grow brightest and darkest, below which a change may be noise."""
NEIGHBOURS = 8
"""Entries of a bucket that each is paired with, so that large buckets cost no more than many small ones."""
LEAST_VOTES = 2
"""Frames that have to agree in a shift."""
NEAR, NEAR_SHARE = 4.0, 0.15
"""Root mean square difference of two frames that may show the same, in levels or as a share of their contrast."""
CHUNK = 2**13
"""Pairs of frames that are compared at a time."""
SHIFTS = 3
"""Shifts of a pair of videos that are looked at, those with most votes."""
LEAST_PERIOD = 16
"""Frames after which a video may repeat itself; at less, slow motion looks like it."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """Frame `i` of the first video may show the moment of frame `i - shift` of the second."""

    first: int
    second: int
    shift: int
    votes: int


def candidates(prints: Sequence[Prints], sides: Sequence[int] | None = None) -> list[Candidate]:
    """Pairs of videos by their positions in `prints`, and of a video with itself, that are worth a closer look.

    With `sides`, a number for each video, only pairs of videos with different numbers.
    """
    keys, videos, frames = _entries(prints)
    order = np.argsort(keys, kind="stable")  # within a key by video
    keys, videos, frames = keys[order], videos[order], frames[order]
    span = max((len(video) for video in prints), default=1)
    side = None if sides is None else np.asarray(sides)
    starts = np.cumsum([0, *map(len, prints[:-1])])
    pixels = np.concatenate(prints) if len(prints) else np.zeros((0, 1), np.uint8)
    coded: list[Integers] = []
    for distance in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(keys[distance:] == keys[:-distance])
        one, other = videos[same], videos[same + distance]
        shift = frames[same] - frames[same + distance]
        kept = (one != other) | (np.abs(shift) >= LEAST_PERIOD)
        if side is not None:
            kept &= side[one] != side[other]
        shift = np.where(one == other, np.abs(shift), shift)
        code = (one * len(prints) + other) * (2 * span) + shift + span
        places = starts[one] + frames[same], starts[other] + frames[same + distance]
        coded.append(code[kept][_near(pixels, places[0][kept], places[1][kept])])
    code, votes = np.unique(np.concatenate(coded), return_counts=True)
    return list(_best(code[votes >= LEAST_VOTES], votes[votes >= LEAST_VOTES], len(prints), span))


def _near(pixels: Prints, some: Integers, others: Integers) -> NDArray[np.bool_]:
    """Which pairs of frames, by their rows in `pixels`, look alike but for a constant brightness."""
    near = np.zeros(len(some), np.bool_)
    for start in range(0, len(some), CHUNK):
        part = slice(start, start + CHUNK)
        one, other = (pixels[rows[part]].astype(np.float32) for rows in (some, others))
        near[part] = _spread(one - other) <= np.maximum(NEAR**2, NEAR_SHARE**2 * _spread(one))
    return near


def _spread(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The variance of each row."""
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows) / rows.shape[1] - rows.mean(axis=1) ** 2
    return squares


def _best(code: Integers, votes: Integers, count: int, span: int) -> Iterator[Candidate]:
    """The shifts with most votes of each pair."""
    pair = code // (2 * span)
    order = np.lexsort((-votes, pair))
    code, votes, pair = code[order], votes[order], pair[order]
    first_of_pair = np.searchsorted(pair, pair)
    for at in np.flatnonzero(np.arange(len(pair)) - first_of_pair < SHIFTS).tolist():
        one, other = divmod(int(pair[at]), count)
        yield Candidate(one, other, int(code[at] % (2 * span)) - span, int(votes[at]))


def _entries(prints: Sequence[Prints]) -> tuple[NDArray[np.uint64], Integers, Integers]:
    """Keys of frames, equal for frames that show the same, with the video and the frame of each."""
    keys, videos, frames = [], [], []
    for number, video in enumerate(prints):
        for key, frame in _keys(video):
            keys.append(key)
            frames.append(frame)
            videos.append(np.full(len(frame), number, np.int64))
    if not keys:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(keys), np.concatenate(videos), np.concatenate(frames)


def _keys(video: Prints) -> Iterator[tuple[NDArray[np.uint64], Integers]]:
    """Kinds of keys of a video: one for equal prints, the others for where prints of the same moment change alike."""
    changed = np.flatnonzero((video[1:] != video[:-1]).any(axis=1)) + 1
    words = np.ascontiguousarray(video[changed]).view(np.uint64)
    with np.errstate(over="ignore"):
        yield (words * _ODD[: words.shape[1]]).sum(axis=1, dtype=np.uint64) | np.uint64(1 << 63), changed
    for lag in LAGS:
        if len(video) <= 2 * lag:
            continue
        change = video[lag:].astype(np.int16) - video[:-lag]
        strong = change.max(axis=1) - change.min(axis=1) >= LEAST_CHANGE
        # The cell that grows brightest and the one that grows darkest, now and `lag` frames later.
        word = (change.argmax(axis=1) * video.shape[1] + change.argmin(axis=1)).astype(np.uint64)
        at = np.flatnonzero(strong[:-lag] & strong[lag:])
        yield (np.uint64(lag) << np.uint64(32)) | (word[at] << np.uint64(16)) | word[at + lag], at


_ODD = np.random.default_rng(0).integers(0, 2**63, 8, np.uint64) * np.uint64(2) + np.uint64(1)
"""Factors of a hash of 64 bytes."""
