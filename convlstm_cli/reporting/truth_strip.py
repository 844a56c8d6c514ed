"""The picture of a scored forecast: input frames, true frames and forecast frames, one row each."""

from pathlib import Path

import torch
from torch import Tensor

from convlstm_cli.reporting.pictures import thumbnail, write_strip
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.tensors import always_gaps, with_gaps

FRAMES = 20
"""Lead times that the picture shows at most."""
SIDE = 256
"""Pixels of a side of a frame in the picture at most: it has dozens of frames."""


class TruthStrip:
    """Keeps thumbnails of the frames as they are computed; then writes the picture."""

    def __init__(self, inputs: Tensor, painter: Painter) -> None:
        """`inputs` are the input frames, (1, T, C, H, W) as `clip_tensor` gives them."""
        # One after another, since as floats they take four times the memory.
        self._inputs = torch.cat([thumbnail(with_gaps(frame[None], frame.device), SIDE) for frame in inputs[0]])
        self._unknowable = always_gaps(self._inputs[None])[0]
        self._painter = painter
        self._shown: list[tuple[Tensor, Tensor]] = []  # truth and forecast of a lead time, (1, C, H, W) each

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Takes the lead times that follow: forecast (1, m, C, H, W) in [0, 1], truth (1, n, C, H, W), n at most m.

        The truth is as `clip_tensor` gives it.
        """
        for lead in range(min(truth.shape[1], FRAMES - len(self._shown))):
            at = slice(lead, lead + 1)
            known = thumbnail(with_gaps(truth[0, at], truth.device), SIDE)
            self._shown.append((known, thumbnail(forecast[0, at], SIDE).masked_fill(self._unknowable, torch.nan)))

    def write(self, path: Path) -> None:
        """Writes the picture as a PNG file; at least one lead time must have been added."""
        truth, forecast = (torch.cat(row) for row in zip(*self._shown, strict=True))
        write_strip(path, {"input": self._inputs, "truth": truth, "forecast": forecast}, self._painter)
