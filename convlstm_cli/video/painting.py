"""Frames as 8-bit pictures: the one place where values become shades of grey or colours.

Photographs, which are all levels of 8 to 16 bits, and frames of three channels are pictures already. One channel of
other values is drawn with a colour map. Of two channels the first is drawn, of more than three the first three as red,
green and blue.
"""

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.video.colormaps import COLORMAPS, DEFAULT_COLORMAP, NO_COLORMAP
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.missing import gone
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.values import BYTES, ValueRange

Picture: TypeAlias = NDArray[np.uint8]
"""(H, W, C), C = 1 or 3 (RGB)."""
Shares: TypeAlias = NDArray[np.floating[Any]]
"""Values (H, W, C) that a range has brought to [0, 1]."""

LEVELS = frozenset(2.0**bits - 1 for bits in range(8, 17))
"""Largest values of 8 to 16 bits."""
MISSING = 220
"""Grey of missing pixels in pictures of a colour map: of all greys the one that lies furthest from the colours of all
maps, at least 31 in CIE L*a*b*."""


@dataclass(frozen=True)
class Painter:
    """Draws frames of one range of values."""

    values: ValueRange = BYTES
    colormap: str = DEFAULT_COLORMAP
    """A name of COLORMAPS, or `none`."""

    def maps(self, channels: int) -> bool:
        """Whether frames of so many channels are drawn in the colours of the map."""
        return self.colormap != NO_COLORMAP and not is_photographic(self.values) and channels in (1, 2)

    def grey(self, frame: Frame, missing: float | None = None) -> Picture:
        """A frame (H, W, C) of values as (H, W, 1), or (H, W, 3) of three and more channels, without a colour map.

        What has no value, which is NaN or `missing` in integers, is black. 8-bit pictures stay as they are.
        """
        shown = _shown(frame)
        holes = gone(shown, missing)
        if shown.dtype == np.uint8 and self.values.is_bytes:
            picture = shown
        else:
            picture = _levels(_shown(self.values.to_unit(frame.astype(np.float64))))
        return picture if holes is None else np.where(holes.any(axis=2, keepdims=True), np.uint8(0), picture)

    def paint(self, frame: Frame, missing: float | None = None) -> Picture:
        """A frame (H, W, C) of values as `grey` draws it, or in colours (H, W, 3) where it `maps`.

        There pixels without a value are of the grey `MISSING`.
        """
        if not self.maps(frame.shape[2]):
            return self.grey(frame, missing)
        shares = _shown(self.values.to_unit(frame.astype(np.float64)))
        holes = gone(_shown(frame), missing)
        return self._coloured(shares if holes is None else np.where(holes, np.nan, shares))

    def paint_shares(self, shares: Shares) -> Picture:
        """A frame (H, W, C) of a network, in [0, 1] with NaN where there is no value, as (H, W, 3)."""
        if self.maps(shares.shape[2]):
            return self._coloured(_shown(shares))
        return to_channels(_levels(_shown(shares)), 3)

    @property
    def colours(self) -> Picture:
        """The colours of the map from the least value to the largest, (256, 3) RGB."""
        return _colours(self.colormap)

    def _coloured(self, shares: Shares) -> Picture:
        """Shares (H, W, 1) in the colours of the map, (H, W, 3)."""
        picture = self.colours[_levels(shares)[:, :, 0]]
        picture[np.isnan(shares[:, :, 0])] = MISSING
        return picture


def is_photographic(values: ValueRange) -> bool:
    """Whether values are those of a camera or a video of 8 to 16 bits: all levels from 0 on, without a unit."""
    return (values.low, values.unit, values.log) == (0.0, "", False) and values.high in LEVELS


def _shown(frame: Frame) -> Frame:
    """The channels that are drawn: one or three."""
    channels = frame.shape[2]
    return frame if channels in (1, 3) else frame[:, :, : 3 if channels > 3 else 1]


def _levels(shares: Shares) -> Picture:
    """Shares in [0, 1] as levels from 0 to 255; NaN as 0."""
    return np.asarray(np.rint(255 * np.nan_to_num(shares)), np.uint8)


@functools.cache
def _colours(name: str) -> Picture:
    """The colours of a map, (256, 3) RGB."""
    levels = np.arange(256, dtype=np.uint8)[:, None]
    table = np.asarray(cv2.applyColorMap(levels, getattr(cv2, COLORMAPS[name].opencv)), np.uint8)
    return np.ascontiguousarray(table[:, 0, ::-1])  # OpenCV has blue first
