"""Frames compared with normal ones: what these show, and the score, p-value and alarm of each frame."""

import numpy as np
import torch

from convlstm_cli.watching.calibration import Reference, reference_of
from convlstm_cli.watching.events import JudgedFrame
from convlstm_cli.watching.forecaster import ObservedFrames
from convlstm_cli.watching.input_format import InputFormat
from convlstm_cli.watching.moments import Shot
from convlstm_cli.watching.output import Findings
from convlstm_cli.watching.patches import Surprise, centre, side_of

MOST_PATCHES = 2**23
"""Patches of normal frames that are kept at most, in 64 MiB; about 70,000 frames of 128x72 pixels."""


class NormalFrames:
    """Collects the patches of normal frames."""

    def __init__(self, source: str) -> None:
        """`source` says in words which frames they are."""
        self.source = source
        self.frames = 0
        """Frames with a score so far."""
        self._patches = 0
        self._found: list[Surprise] = []
        self._numbers: list[int] = []
        self._next = 0

    @property
    def is_full(self) -> bool:
        """Whether no more frames are kept."""
        return self._patches >= MOST_PATCHES

    def add(self, seen: ObservedFrames) -> None:
        """Takes frames that follow those before."""
        for moment in seen.moments:
            if moment.row is not None:
                self._numbers.append(self._next)
            self._next += 1
        self._found.append(seen.surprise)
        self.frames += int((~seen.surprise.error.isnan()).flatten(1).any(dim=1).sum())
        self._patches += seen.surprise.error.numel()

    def part_from_next(self, reach: int) -> None:
        """Separates the frames so far from the next ones, which are of another recording: their alarms do not join."""
        self._next += reach + 1

    def reference(self, reach: int, seconds: float, per_hour: float) -> Reference:
        """What the frames show; arguments as for `calibration.threshold_of`."""
        found = Surprise(
            torch.cat([each.error for each in self._found]), torch.cat([each.spread for each in self._found])
        )
        return reference_of(found, np.asarray(self._numbers, np.int64), reach, seconds, per_hour)


def judge(
    seen: ObservedFrames, reference: Reference, input_format: InputFormat, findings: Findings, *, normal: bool = False
) -> None:
    """Gives each of some frames to `findings` with its score; those taken for `normal` have no p-value and no alarm."""
    scores, patches = reference.usual.scores(seen.surprise)
    ratios = reference.usual.ratios(seen.surprise)
    side = side_of(*input_format.size)
    for moment in seen.moments:
        at = moment.row
        if at is None or scores[at].isnan():
            findings.add(JudgedFrame(moment.frame, moment.time, None, None, False, None, None), None)
            continue
        score = float(scores[at])
        row, column = input_format.in_source(*centre(int(patches[at]), ratios.shape[2], side))
        p = None if normal else reference.p_value(score)
        alarm = not normal and score > reference.threshold.score
        judged = JudgedFrame(moment.frame, moment.time, score, p, alarm, row, column)
        shot = None
        if not normal and seen.pictures is not None:
            shot = Shot(judged, seen.pictures.frames[at], seen.pictures.forecasts[at], ratios[at])
        findings.add(judged, shot)
