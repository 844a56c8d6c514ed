"""The spread of an ensemble on disk: one picture for each lead time, all on one scale, and the numbers on request."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from convlstm_cli.files import replacing
from convlstm_cli.reporting.charts import INK
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.writer import open_writer

FOLDER = "spread"
"""Of the pictures, below that of the forecast."""
NUMBERS = "spread.npy"
LEGEND = "legend.svg"
"""No format that an image sequence is read from, so that the folder stays one."""
COLOUR_MAP = "magma"
"""Perceptually uniform, from black; has no grey, which is left for what is not forecast."""
NOT_FORECAST = 128
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""What the brightest colour can stand for. Steps, so that the pictures of similar forecasts compare."""
SATURATED = 0.001
"""Share of the pixels that may lie beyond the scale, so that a few of them do not darken all others."""
BINS = 1000


class SpreadMaps:
    """Takes the spread of a forecast as it is computed; then writes its pictures.

    One scale for all pictures can be known only when all is computed, so the numbers wait in a file: spread.npy,
    float16 of the shape (T, H, W) or (T, H, W, 3), standard deviations of pixel values at the network's size. A fixed
    scale would need no waiting, and would be black for good forecasts or saturated for bad ones: their spreads differ
    by a factor of a hundred.
    """

    def __init__(self, folder: Path, frames: int) -> None:
        """For a forecast of so many frames; nothing is written before the first `add`."""
        self._path = folder / NUMBERS
        self._pictures = folder / FOLDER
        self._frames = frames
        self._counts = np.zeros(BINS, np.int64)
        self.by_lead_time: list[float] = []
        """Root mean square of the spread over each frame so far."""

    def add(self, spread: Tensor) -> None:
        """The lead times that follow, (1, n, C, H, W)."""
        for frame in spread[0].permute(0, 2, 3, 1).cpu().numpy():  # (H, W, C)
            with self._path.open("ab") as file:
                if not self.by_lead_time:
                    shape = (self._frames, *(frame.shape[:2] if frame.shape[2] == 1 else frame.shape))
                    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(frame.astype("<f2").tobytes())
            self._counts += np.histogram(_over_channels(frame), BINS, (0.0, 1.0))[0]
            self.by_lead_time.append(float(np.sqrt(np.square(frame, dtype=np.float64).mean())))

    def write(self, to_written: Callable[[Frame], tuple[Frame, npt.NDArray[np.bool_]]], *, keep: bool) -> float:
        """Writes the pictures and their legend; removes the numbers unless they are to be kept.

        Args:
            to_written: brings a grey frame of the network's size to the written one, and says where that is forecast.
            keep: whether spread.npy is asked for.

        Returns the spread that the brightest colour stands for.
        """
        numbers = np.load(self._path, mmap_mode="r")
        beyond = self._counts[::-1].cumsum()[::-1]  # pixels in each bin and above
        highest = np.count_nonzero(beyond > SATURATED * self._counts.sum()) / BINS
        scale = next((step for step in SCALES if step >= highest), SCALES[-1])
        colours = _colours()
        with open_writer(self._pictures, "png", 1.0) as writer:
            for frame in numbers:
                share = _over_channels(frame.astype(np.float32).reshape(*frame.shape[:2], -1)) / scale
                level, forecast = to_written(np.rint(255 * share.clip(0.0, 1.0)).astype(np.uint8)[:, :, None])
                picture = colours[level[:, :, 0]]
                picture[~forecast] = NOT_FORECAST
                writer.write(picture)
        _write_legend(self._pictures / LEGEND, scale)
        if not keep:
            del numbers, frame  # Windows removes no file that is mapped
            self._path.unlink()
        return scale


def _over_channels(spread: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Root mean square over the channels, (H, W, C) to (H, W)."""
    return np.asarray(np.sqrt(np.square(spread).mean(axis=2)), np.float32)


def _colours() -> npt.NDArray[np.uint8]:
    """The colour of each level, (256, 3) RGB."""
    return np.asarray(matplotlib.colormaps[COLOUR_MAP](np.arange(256), bytes=True)[:, :3], np.uint8)


def _write_legend(path: Path, scale: float) -> None:
    figure = Figure(figsize=(5.0, 0.9), layout="constrained")
    bar = figure.colorbar(
        ScalarMappable(Normalize(0.0, scale), COLOUR_MAP), cax=figure.add_subplot(), orientation="horizontal"
    )
    bar.set_label("standard deviation over the runs, of pixels from 0 to 1", color=INK)
    bar.ax.tick_params(colors=INK)
    with replacing(path) as partial:
        figure.savefig(partial, format="svg", transparent=True)
