"""From source frames to the network's frames, and from those to the frames that are written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from convlstm_cli.errors import InputError
from convlstm_cli.video import colour_bar
from convlstm_cli.video.colormaps import DEFAULT_COLORMAP
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.missing import Mask, clear, gone, mark
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.tensors import clip_tensor, to_values, truth_tensor
from convlstm_cli.video.values import ValueRange


def check_channels(source: Path, found: int, network: str, channels: int) -> None:
    """Raises InputError for a source with other channels than a network forecasts, unless one is grey and one RGB.

    `found` and `channels` are their numbers; `network` is what messages call the network.
    """
    if found == channels or {found, channels} == {1, 3}:
        return
    fitting = channels if found > channels else 1  # a network for colour forecasts one channel too
    instead = f"choose {'one' if fitting == 1 else fitting} with --channels {','.join(map(str, range(fitting)))}"
    if found < channels != 3:
        instead = f"give a source with {channels}"
    forecasts = "1 or 3" if channels == 3 else channels
    raise InputError(
        f"{source}: has {found} channel{'s' * (found != 1)}, and {network} forecasts {forecasts}; {instead}."
    )


def fitted(
    frames: Sequence[Frame], geometry: FrameGeometry | None, channels: int, missing: float | None = None
) -> Frame:
    """Source frames at the size that the network works at and in its channels: (T, H, W, C) of the source's type.

    Without a `geometry` the network works at the source's size. Pixels of the value `missing` have none.
    """
    shaped = [mark(to_channels(frame, channels), missing) for frame in frames]
    if geometry is not None:
        shaped = [geometry.fit_frame(frame, missing) for frame in shaped]
    return np.stack(shaped)


@dataclass(frozen=True)
class FrameConversion:
    """How frames of a source become those of the network, and its forecast the frames that are written.

    Size, channels and values are converted; what has no value in any input frame has none in the forecast.
    """

    geometry: FrameGeometry | None
    """None where the network works at the source's size."""
    at_model_size: bool
    """Whether frames are written at the size that the network works at."""
    last: Frame
    """The last input frame, at the source's size and in the colour that is written."""
    values: ValueRange
    """The range of values that is [0, 1] for the network."""
    missing: float | None = None
    """The value of integers that means no data; floats have NaN."""
    unknowable: Mask | None = None
    """Pixels of written frames, (H, W, C), that have no value in any input frame; None where there are none."""
    colormap: str = DEFAULT_COLORMAP
    """The colours of previews, as --colormap takes them."""

    bounded: bool = False
    """Whether written values stay in the range, which those of enlarged frames may exceed near edges."""

    @property
    def painter(self) -> Painter:
        """What draws previews."""
        return Painter(self.values, self.colormap)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the frames that are written."""
        if self.geometry is not None and self.at_model_size:
            return self.geometry.height, self.geometry.width
        height, width = self.last.shape[:2]
        return height, width

    @property
    def of_shares(self) -> "FrameConversion":
        """The conversion of maps of numbers in [0, 1] beside such frames."""
        return self._beside(1.0)

    @property
    def of_spread(self) -> "FrameConversion":
        """The conversion of maps of the standard deviation of values beside such frames."""
        return self._beside(max(band.span for band in self.values.bands or (self.values,)))

    def _beside(self, most: float) -> "FrameConversion":
        """The conversion of maps of floats from 0 to `most`, with NaN where nothing is forecast."""
        nothing = np.full(self.last.shape, np.nan, np.float32)
        return replace(self, last=nothing, values=ValueRange(0.0, most), missing=None, bounded=True)

    def to_clip(self, frames: Frame) -> Tensor:
        """Frames of `fitted` as the network takes them, (1, T, C, H, W) for `to_float`."""
        return clip_tensor(frames, self.values, self.missing, self._content)[None]

    def to_truth(self, frames: Frame) -> tuple[Tensor, Tensor | None]:
        """Frames of `fitted` as a forecast is scored against, (1, T, C, H, W), and where they have values.

        Values outside the range lie outside [0, 1]; None is everywhere.
        """
        truth, there = truth_tensor(frames, self.values, self.missing, self._content)
        return truth[None], None if there is None else there[None]

    def to_values(self, pixels: Tensor) -> Frame:
        """A forecast (C, H, W) in [0, 1] as a frame (H, W, C) of the source's type with its values."""
        return to_values(pixels, self.values, self.last.dtype)

    def picture(self, frame: Frame, *, alpha: bool = False) -> Frame:
        """A frame of the source's type in 8 bits, the range of values from black to white; black has no value.

        With `alpha` it is transparent there, if the forecast has such pixels.
        """
        picture = self.painter.grey(frame, self.missing)
        if not alpha or self.unknowable is None:
            return picture
        holes = gone(frame, self.missing)
        empty = np.zeros((*frame.shape[:2], 1), bool) if holes is None else holes.any(axis=2, keepdims=True)
        return np.concatenate((picture, np.where(empty, np.uint8(0), np.uint8(255))), axis=2)

    def preview(self, frame: Frame) -> Frame:
        """A frame of the source's type as people watch it: (H, W, 3) in colours, with their bar where there is room.

        A frame that needs no colours is `picture` of it.
        """
        picture = self.painter.paint(frame, self.missing)
        if not self.has_colours or frame.shape[0] < colour_bar.ROOM:
            return picture
        return np.hstack((picture, colour_bar.beside(self.painter, frame.shape[0])))

    @property
    def has_colours(self) -> bool:
        """Whether previews are drawn in the colours of a map."""
        return self.painter.maps(self.last.shape[2])

    def to_written(self, frame: Frame) -> Frame:
        """A frame at the network's size as it is written, without values where the input has none."""
        restored = self._restored(self.coloured(frame), self.last)
        if self.bounded:
            restored = restored.clip(self.values.low, self.values.high)
        return restored if self.unknowable is None else clear(restored, self.unknowable, self.missing)

    def spread(self, level: Frame) -> tuple[Frame, npt.NDArray[np.bool_]]:
        """A grey picture at the network's size as it is written, and where it shows what was forecast."""
        forecast = self._restored(np.full_like(level, 255), None)[:, :, 0] > 0
        if self.unknowable is not None:
            forecast &= ~self.unknowable.all(axis=2)
        return self._restored(level, None), forecast

    def coloured(self, frame: Frame) -> Frame:
        """A frame of any size with as many channels as are written."""
        return to_channels(frame, self.last.shape[2])

    @property
    def _content(self) -> tuple[slice, slice] | None:
        """Rows and columns of frames at the network's size that are no padding; None for all."""
        return None if self.geometry is None else self.geometry.content(*self.last.shape[:2])

    def _restored(self, frame: Frame, background: Frame | None) -> Frame:
        if self.geometry is None or self.at_model_size:
            return frame
        height, width = self.last.shape[:2]
        return self.geometry.restore(frame, height, width, background)
