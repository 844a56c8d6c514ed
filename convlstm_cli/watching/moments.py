"""The worst moments of a video: frames around the most surprising ones, and the film of them."""

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from torch import Tensor

from convlstm_cli.reporting.pictures import Image, write_text
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.writers import open_writer
from convlstm_cli.watching.events import JudgedFrame

AROUND = 6
"""Frames that are shown before the most surprising one of a moment, and after it."""
MOMENTS = 5
"""Most moments that are shown."""
PLAYED = 5.0
"""Frames a second of the film: slower than most sources, so that a single frame is seen."""
SHOWN_SIDE = 256
"""Approximate longest side of a shown frame: small frames are enlarged by whole numbers."""
LINE = 22
"""Height of the line of text in pixels."""
COLOUR_MAP = "magma"
"""Colours of surprise, from black; the brightest is at the threshold and above."""


@dataclass(frozen=True)
class Shot:
    """A frame as the film shows it."""

    judged: JudgedFrame
    frame: Tensor
    """(C, H, W) in [0, 1], NaN where pixels are missing."""
    forecast: Tensor
    """(C, H, W) in [0, 1]."""
    ratios: Tensor
    """How surprising each patch is, (rows, columns)."""


class Moments:
    """Keeps the most surprising frames, each with those around it, in memory that does not grow with the video."""

    def __init__(self) -> None:
        self._recent: deque[Shot] = deque(maxlen=2 * AROUND + 1)
        self._count = itertools.count()
        self._kept: list[tuple[float, int, int, tuple[Shot, ...]]] = []
        """A heap of scores, with the shots of each and the position of its most surprising one."""

    def add(self, shot: Shot) -> None:
        """Takes the next frame that has a score."""
        self._recent.append(shot)
        if len(self._recent) > AROUND:
            self._consider(len(self._recent) - 1 - AROUND)

    def close(self) -> None:
        """Considers the last frames, which few others follow."""
        for at in range(max(0, len(self._recent) - AROUND), len(self._recent)):
            self._consider(at)

    def worst_first(self) -> list[tuple[JudgedFrame, tuple[Shot, ...]]]:
        """The moments, the most surprising first: its most surprising frame, and the shots around it."""
        return [(shots[at].judged, shots) for _, _, at, shots in sorted(self._kept, reverse=True)]

    def _consider(self, at: int) -> None:
        """Keeps the frame at a position if it is the most surprising of those around it, and of the `MOMENTS` worst."""
        first = max(0, at - AROUND)
        shots = tuple(self._recent)[first : at + AROUND + 1]
        scores = [_score(shot) for shot in shots]
        if scores.index(max(scores)) != at - first:  # the first of equal ones
            return
        kept = (max(scores), -next(self._count), at - first, shots)
        if len(self._kept) < MOMENTS:
            heapq.heappush(self._kept, kept)
        else:
            heapq.heappushpop(self._kept, kept)


def write_film(
    path: Path, moments: Sequence[tuple[JudgedFrame, tuple[Shot, ...]]], painter: Painter, bright: float
) -> None:
    """Writes the moments as a WebM film: the frame, its forecast and a map of the surprise side by side.

    `bright` is the surprise that the brightest colour stands for. Raises OutputError where it cannot be written.
    """
    with open_writer(path, "webm", PLAYED) as writer:
        for number, (worst, shots) in enumerate(moments, start=1):
            for shot in shots:
                writer.write(_picture(shot, painter, bright, f"{number} of {len(moments)}", worst=shot.judged is worst))


def _picture(shot: Shot, painter: Painter, bright: float, which: str, *, worst: bool) -> Image:
    height, width = shot.frame.shape[-2:]
    scale = max(1, round(SHOWN_SIDE / max(height, width)))
    size = width * scale, height * scale
    drawn = [painter.paint_shares(each.permute(1, 2, 0).numpy()) for each in (shot.frame, shot.forecast)]
    shown = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_NEAREST), np.uint8) for each in drawn]
    picture = np.vstack((np.full((LINE, 3 * size[0], 3), 24, np.uint8), np.hstack((*shown, _map(shot, size, bright)))))
    time = "" if shot.judged.time is None else f", {shot.judged.time:.2f} s"
    write_text(picture, f"{which}: frame {shot.judged.frame}{time}{' <' if worst else ''}", 4, LINE - 6)
    write_text(picture, "forecast", size[0] + 4, LINE - 6)
    write_text(picture, "surprise", 2 * size[0] + 4, LINE - 6)
    return picture


def _map(shot: Shot, size: tuple[int, int], bright: float) -> Image:
    shares = (shot.ratios.nan_to_num(0.0) / bright).clamp(0.0, 1.0).numpy()
    colours = np.asarray(matplotlib.colormaps[COLOUR_MAP](shares, bytes=True)[..., :3], np.uint8)
    return np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _score(shot: Shot) -> float:
    assert shot.judged.score is not None
    return shot.judged.score
