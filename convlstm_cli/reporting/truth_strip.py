"""The picture of a scored forecast: input frames, true frames and forecast frames, one row each."""

from pathlib import Path

import torch
from torch import Tensor

from convlstm_cli.reporting.pictures import thumbnail, write_strip
from convlstm_cli.video.tensors import to_float

FRAMES = 20
"""Lead times that the picture shows at most."""
SIDE = 256
"""Pixels of a side of a frame in the picture at most: it has dozens of frames."""


class TruthStrip:
    """Keeps thumbnails of the frames as they are computed; then writes the picture."""

    def __init__(self, inputs: Tensor) -> None:
        """`inputs` are the input frames, (1, T, C, H, W) as `clip_tensor` gives them."""
        # One after another, since as floats they take four times the memory.
        self._inputs = torch.cat([thumbnail(to_float(frame[None], frame.device), SIDE) for frame in inputs[0]])
        self._shown: list[tuple[Tensor, Tensor]] = []  # truth and forecast of a lead time, (1, C, H, W) each

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Takes the lead times that follow, in [0, 1]: forecast (1, m, C, H, W), truth (1, n, C, H, W), n at most m."""
        for lead in range(min(truth.shape[1], FRAMES - len(self._shown))):
            at = slice(lead, lead + 1)
            self._shown.append((thumbnail(truth[0, at], SIDE), thumbnail(forecast[0, at], SIDE)))

    def write(self, path: Path) -> None:
        """Writes the picture as a PNG file; at least one lead time must have been added."""
        truth, forecast = (torch.cat(row) for row in zip(*self._shown, strict=True))
        write_strip(path, {"input": self._inputs, "truth": truth, "forecast": forecast})
