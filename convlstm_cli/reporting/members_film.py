"""The film of members: up to four of them, their mean and their spread, beside each other."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.forecasting.conversion import FrameConversion
from convlstm_cli.forecasting.members import MembersFile
from convlstm_cli.forecasting.statistics import LeadTime
from convlstm_cli.reporting.spread_maps import picture
from convlstm_cli.video import colour_bar
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.geometry import resize
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.writers import open_writer

SHOWN = 4
"""Members that are shown at most."""
ROWS = 2
LEAST, MOST = 128, 320
"""Longest side of a panel in pixels: smaller frames are enlarged by whole numbers, larger ones shrunk."""
LINE, GAP, GROUND, INK = 16, 4, 24, 235
"""Height of the line above a panel, pixels between panels, and the greys of the background and of the letters."""


class MembersFilm:
    """Collects mean and spread of members while their forecast is written, then draws the film.

    The spread is drawn on one scale, which is known only when the whole forecast has been written. Until then mean and
    spread are in a hidden file, float32 of the shape (T, 2, C, H, W) in [0, 1].
    """

    def __init__(self, folder: Path, members: MembersFile) -> None:
        """Prepares for a forecast in `folder`; the first `add` makes the hidden file."""
        self._path, self._members = folder / ".members-film", members

    def add(self, found: LeadTime) -> None:
        """Takes the next lead time."""
        with self._path.open("ab") as file:
            file.write(torch.stack((found.mean, found.spread)).numpy().tobytes())

    def write(self, path: Path, conversion: FrameConversion, fps: float, full_scale: float) -> None:
        """Writes a WebM film: members in columns of two, then a column of their mean and their spread.

        Frames are drawn as in other films, the spread in the colours of its pictures, whose brightest stands for
        `full_scale`. The hidden file is removed. Raises OutputError where the film cannot be written.
        """
        with self._path.open("rb") as file, open_writer(path, "webm", fps) as writer:
            for lead in range(self._members.horizon):
                writer.write(_together(self._panels(lead, file, conversion, full_scale), conversion))
        self._path.unlink()

    def _panels(self, lead: int, file: BinaryIO, conversion: FrameConversion, full_scale: float) -> dict[str, Frame]:
        """The pictures of a lead time by their names; `file` is the hidden one, read up to this lead time."""
        count = len(self._members)
        members = [self._members.frame(each, lead) for each in range(min(SHOWN, count))]
        panels = {f"member {number}": _drawn(each, conversion) for number, each in enumerate(members, start=1)}
        panels |= {"": np.full_like(panels["member 1"], GROUND)} if len(members) % ROWS else {}
        both = np.fromfile(file, np.float32, 2 * members[0].numel()).reshape(2, *members[0].shape)
        mean, spread = torch.from_numpy(both)
        drawn = picture(spread.permute(1, 2, 0).numpy(), full_scale, conversion.spread)
        return {**panels, f"mean of {count}": _drawn(mean, conversion), "spread": drawn}


def _drawn(pixels: Tensor, conversion: FrameConversion) -> Frame:
    """A frame of the network (C, H, W) as people watch it, (H, W, 3)."""
    return to_channels(
        conversion.painter.paint(conversion.to_written(conversion.to_values(pixels)), conversion.missing), 3
    )


def _together(panels: dict[str, Frame], conversion: FrameConversion) -> Frame:
    """Panels in columns of `ROWS`, with their names above them, and a colour bar where they are in colours."""
    named = [_named(name, _sized(frame)) for name, frame in panels.items()]
    columns = [np.vstack(named[first : first + ROWS]) for first in range(0, len(named), ROWS)]
    bar = [to_channels(colour_bar.beside(conversion.painter, columns[0].shape[0]), 3)] if conversion.has_colours else []
    return np.hstack([*columns, *bar])


def _sized(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    longest = max(height, width)
    if longest > MOST:
        return resize(frame, max(1, round(height * MOST / longest)), max(1, round(width * MOST / longest)))
    times = -(-LEAST // longest)
    return frame.repeat(times, axis=0).repeat(times, axis=1)


def _named(name: str, frame: Frame) -> Frame:
    """A panel below a line with its name, with a gap around it."""
    panel = np.full((frame.shape[0] + LINE + GAP, frame.shape[1] + GAP, 3), GROUND, np.uint8)
    panel[LINE : LINE + frame.shape[0], : frame.shape[1]] = frame
    cv2.putText(panel, name, (2, LINE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (INK,) * 3, 1, cv2.LINE_AA)
    return panel
