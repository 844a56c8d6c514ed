"""The files of a watched video, written while it is read.

scores.csv   a row for each frame: frame, time, score, p, alarm, and row and column of the most surprising patch
plot.png     the score over time, with the threshold and the events
worst.webm   the worst moments: the frame, its forecast and a map of the surprise
watch.json   settings, threshold, counts and events (`record.py`); written last
"""

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

from convlstm_cli.files import writing
from convlstm_cli.video.painting import Painter
from convlstm_cli.watching.calibration import Threshold
from convlstm_cli.watching.events import Events, JudgedFrame
from convlstm_cli.watching.moments import Moments, Shot, write_film
from convlstm_cli.watching.plot import Curve

SCORES, PLOT, FILM = "scores.csv", "plot.png", "worst.webm"
COLUMNS = ("frame", "time", "score", "p", "alarm", "row", "column")


class Findings:
    """Takes the frames of a video in order; writes scores.csv at once, and keeps what the other files need."""

    def __init__(self, scores: Path, reach: int) -> None:
        """`reach`: frames up to which two alarms are one event."""
        self.events, self.moments, self.curve = Events(reach), Moments(), Curve()
        self.frames = self.scored = self.judged = self.alarms = 0
        self._file = scores.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def add(self, judged: JudgedFrame, shot: Shot | None) -> None:
        """Takes the next frame, with its pictures where it is compared with normal frames."""
        self.frames += 1
        self.scored += judged.score is not None
        self.judged += judged.p is not None
        self.alarms += judged.alarm
        self._rows.writerow(_row(judged))
        self.curve.add(judged)
        self.events.add(judged)
        if shot is not None:
            self.moments.add(shot)

    def close(self) -> None:
        """Completes scores.csv."""
        self._file.close()

    def draw(self, folder: Path, threshold: Threshold, painter: Painter) -> None:
        """Writes plot.png and worst.webm. Raises OutputError."""
        self.moments.close()
        self.curve.write(folder / PLOT, threshold, self.events.found)
        write_film(folder / FILM, self.moments.worst_first(), painter, threshold.score)


@contextlib.contextmanager
def finding(folder: Path, reach: int) -> Iterator[Findings]:
    """Yields what takes the frames; scores.csv is complete when the block ends well. Raises OutputError."""
    with writing(folder / SCORES):
        findings = Findings(folder / SCORES, reach)
        try:
            yield findings
        finally:
            findings.close()


def _row(judged: JudgedFrame) -> list[object]:
    """The row of a frame; empty where there is no value."""
    return [
        judged.frame,
        "" if judged.time is None else f"{judged.time:.3f}",
        "" if judged.score is None else f"{judged.score:.9g}",
        "" if judged.p is None else f"{judged.p:.9g}",
        int(judged.alarm),
        judged.row,
        judged.column,
    ]
