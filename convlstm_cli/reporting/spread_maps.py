"""Pictures of the spread of an ensemble, one for each lead time on one scale, and its numbers on request."""

import functools
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
from convlstm_cli.reporting.drawing import INK
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.writers import open_writer

FOLDER = "spread"
"""Folder of the pictures, below that of the forecast."""
NUMBERS = "spread.npy"
"""File of the numbers, beside that folder."""
LEGEND = "legend.svg"
"""Not a format of image sequences, so that the folder can be read as one."""
COLOUR_MAP = "magma"
"""Perceptually uniform, from black. It has no grey, which marks pixels that are not forecast."""
NOT_FORECAST = 128
"""Grey of the pixels that are not forecast."""
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Standard deviations that the brightest colour can stand for; steps make pictures of similar forecasts comparable."""
SATURATED = 0.001
"""Share of the pixels that may lie beyond the scale, so that outliers do not darken the other pixels."""
BINS = 1000
"""Bins of the histogram, over [0, 1], that the scale is chosen by."""

ToWritten = Callable[[Frame], tuple[Frame, npt.NDArray[np.bool_]]]


class SpreadMaps:
    """Collects the spread of a forecast while it is computed, then writes its pictures.

    The pictures share one scale, which is known only when the whole forecast has been computed. Until then the numbers
    are in a hidden file: spread.npy, float16 of the shape (T, H, W) or (T, H, W, 3), standard deviations of pixels in
    [0, 1] at the network's size. A fixed scale would be black for good forecasts or saturated for bad ones, because
    their spreads differ by a factor of a hundred.
    """

    colour_map = COLOUR_MAP
    """Name of the colour map of the pictures."""

    def __init__(self, folder: Path, frames: int) -> None:
        """Prepares for a forecast of `frames` frames in `folder`; the first `add` writes the first file."""
        self._kept = folder / NUMBERS
        self._path = self._kept.with_name(f".{NUMBERS}")  # until all of them are there
        self._pictures = folder / FOLDER
        self._frames = frames
        self._counts = np.zeros(BINS, np.int64)
        self.by_lead_time: list[float] = []
        """Root mean square of the spread over each frame that was added."""

    def add(self, spread: Tensor) -> None:
        """Appends the spread at the lead times that follow, (1, n, C, H, W)."""
        for frame in spread[0].permute(0, 2, 3, 1).cpu().numpy():  # (H, W, C)
            with self._path.open("ab") as file:
                if not self.by_lead_time:
                    shape = (self._frames, *(frame.shape[:2] if frame.shape[2] == 1 else frame.shape))
                    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(frame.astype("<f2").tobytes())
            self._counts += np.histogram(_over_channels(frame), BINS, (0.0, 1.0))[0]
            self.by_lead_time.append(float(np.sqrt(np.square(frame, dtype=np.float64).mean())))

    def write(self, to_written: ToWritten, *, keep: bool) -> float:
        """Writes the pictures and their legend, and removes the numbers unless `keep`.

        Args:
            to_written: as for `picture`.
            keep: whether spread.npy stays.

        Returns the spread that the brightest colour stands for.
        """
        numbers = np.load(self._path, mmap_mode="r")
        beyond = self._counts[::-1].cumsum()[::-1]  # pixels in each bin or above it
        highest = np.count_nonzero(beyond > SATURATED * self._counts.sum()) / BINS
        scale = next((step for step in SCALES if step >= highest), SCALES[-1])
        with open_writer(self._pictures, "png", 1.0) as writer:
            for frame in numbers:
                writer.write(picture(frame.astype(np.float32).reshape(*frame.shape[:2], -1), scale, to_written))
        _write_legend(self._pictures / LEGEND, scale)
        del numbers, frame  # Windows can neither rename nor remove a mapped file
        if keep:
            self._path.replace(self._kept)
        else:
            self._path.unlink()
        return scale


def picture(spread: npt.NDArray[np.float32], scale: float, to_written: ToWritten) -> Frame:
    """The picture (H, W, 3) of the spread of a frame (h, w, C) of the network's size.

    The brightest colour stands for `scale`. `to_written` maps a grey frame of the network's size (h, w, 1) to the
    written one, and to the mask (H, W) of its pixels that are forecast.
    """
    share = _over_channels(spread) / scale
    level, forecast = to_written(np.rint(255 * share.clip(0.0, 1.0)).astype(np.uint8)[:, :, None])
    drawn = _colours()[level[:, :, 0]]
    drawn[~forecast] = NOT_FORECAST
    return drawn


def _over_channels(spread: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Root mean square over the channels, (H, W, C) to (H, W)."""
    return np.asarray(np.sqrt(np.square(spread).mean(axis=2)), np.float32)


@functools.cache
def _colours() -> npt.NDArray[np.uint8]:
    """The colour of each level, (256, 3) RGB."""
    return np.asarray(matplotlib.colormaps[COLOUR_MAP](np.arange(256), bytes=True)[:, :3], np.uint8)


def _write_legend(path: Path, scale: float) -> None:
    figure = Figure(figsize=(5.0, 0.9), layout="constrained")
    bar = figure.colorbar(
        ScalarMappable(Normalize(0.0, scale), COLOUR_MAP), cax=figure.add_subplot(), orientation="horizontal"
    )
    bar.set_label("standard deviation over the members, of pixels from 0 to 1", color=INK)
    bar.ax.tick_params(colors=INK)
    # Without a date and with identifiers that are not drawn at random, so that equal legends are equal byte for byte.
    with replacing(path) as partial, matplotlib.rc_context({"svg.hashsalt": "convlstm"}):
        figure.savefig(partial, format="svg", transparent=True, metadata={"Date": None})
