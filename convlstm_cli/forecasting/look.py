"""From source frames to the network's frames, and from those to the frames that are written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.geometry import FrameGeometry


def fitted(frames: Sequence[Frame], geometry: FrameGeometry | None, channels: int) -> Tensor:
    """Source frames at the size that the network works at and in its channels: (1, T, C, H, W) uint8.

    Without a `geometry` the network works at the source's size.
    """
    shaped = [to_channels(frame, channels) for frame in frames]
    if geometry is not None:
        shaped = [geometry.fit_frame(frame) for frame in shaped]
    return torch.from_numpy(np.stack(shaped)).permute(0, 3, 1, 2)[None]  # from (T, H, W, C)


def unbatched(clip: Tensor) -> Iterator[Frame]:
    """(1, T, C, H, W) uint8 as frames (H, W, C), one after another."""
    return (frame.permute(1, 2, 0).numpy() for frame in clip[0])


@dataclass(frozen=True)
class Look:
    """The size and colour of the frames that are written."""

    geometry: FrameGeometry | None
    """None where the network works at the source's size."""
    at_model_size: bool
    """Whether frames are written at the size that the network works at."""
    last: Frame
    """The last input frame, at the source's size and in the colour that is written."""

    def forecast(self, frame: Frame) -> Frame:
        """A frame at the network's size as it is written."""
        return self._restored(self.coloured(frame), self.last)

    def spread(self, level: Frame) -> tuple[Frame, npt.NDArray[np.bool_]]:
        """A grey picture at the network's size as it is written, and where it shows what was forecast."""
        everywhere = np.full_like(level, 255)
        return self._restored(level, None), self._restored(everywhere, None)[:, :, 0] > 0

    def coloured(self, frame: Frame) -> Frame:
        """A frame of any size with as many channels as are written."""
        return to_channels(frame, self.last.shape[2])

    def _restored(self, frame: Frame, background: Frame | None) -> Frame:
        if self.geometry is None or self.at_model_size:
            return frame
        height, width = self.last.shape[:2]
        return self.geometry.restore(frame, height, width, background)
