"""plot.png: the score over time, with the threshold and the events."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from convlstm_cli.reporting.styles import MODEL_STYLE
from convlstm_cli.watching.calibration import Threshold
from convlstm_cli.watching.events import Event, JudgedFrame

BINS = 2000
"""Most points of the line: more than a plot has columns of pixels."""
EVENT, NORMAL = "#dd5a1c", "#868e98"
"""Colours of events and of frames that are taken for normal."""


class Curve:
    """The highest score of each of at most `BINS` stretches of a video, whose frames double when there are too many."""

    def __init__(self) -> None:
        self._width = 1
        self._scores: list[float] = []
        self._at: list[float] = []
        """When each stretch begins: the time of its first frame, or the number where it has no time."""
        self._frames = 0
        self._normal: float | None = None
        """When the last frame is that is taken for normal."""

    def add(self, judged: JudgedFrame) -> None:
        """Takes the next frame."""
        now = float(judged.frame) if judged.time is None else judged.time
        if self._frames % self._width == 0:
            if len(self._scores) == BINS:
                self._scores = np.fmax(self._scores[::2], self._scores[1::2]).tolist()
                self._at = self._at[::2]
                self._width *= 2
            self._scores.append(np.nan)
            self._at.append(now)
        if judged.score is not None:
            self._scores[-1] = float(np.fmax(self._scores[-1], judged.score))
            if judged.p is None:
                self._normal = now
        self._frames += 1

    def write(self, path: Path, threshold: Threshold, events: Sequence[Event]) -> None:
        """Writes the plot; its axis counts frames where the video has no times."""
        timed = self._at[0] == 0  # frames are numbered from 1, and times are from the first frame
        figure = Figure(figsize=(9.0, 3.2), layout="constrained")
        axes = figure.add_subplot()
        if self._normal is not None:
            axes.axvspan(self._at[0], self._normal, color=NORMAL, alpha=0.15, linewidth=0, label="taken for normal")
        for position, event in enumerate(events):
            first = event.first if event.start is None else event.start
            last = event.last if event.end is None else event.end
            label = "event" if position == 0 else None
            axes.axvspan(first, last, color=EVENT, alpha=0.3, linewidth=1.0, label=label)
        axes.plot(self._at, self._scores, color=MODEL_STYLE.colour, linewidth=1.0, label="score")
        axes.axhline(threshold.score, color=EVENT, linewidth=1.0, dashes=(4, 2), label="threshold")
        axes.set_yscale("log")
        axes.set_xlabel("seconds" if timed else "frame")
        axes.set_ylabel("surprise (usual: 1)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
        figure.savefig(path, dpi=130)
