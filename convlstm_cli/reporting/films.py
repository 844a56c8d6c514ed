"""Films: rows of frames that a page plays in step, without a video format or a script."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convlstm_cli.reporting.pictures import Rows, data_uri, encode, thumbnail, to_image
from convlstm_cli.video.painting import Painter

SIDE = 96
"""Longest side of a frame in pixels; larger frames are shrunk."""
SHOWN_SIDE = 128
"""Approximate longest side in a page: small frames are enlarged by whole numbers."""
FRAMES = 40
"""Most frames of the input (its last ones) and of a forecast (its first ones)."""
FRAME_SECONDS = 0.25
"""How long a frame is shown."""
LOSSLESS_BYTES = 32_000
"""Size of a row of frames above which it is compressed with loss: noise would make a page too large."""
QUALITY = 90
"""Quality of lossy compression, from 1 to 100."""


@dataclass(frozen=True)
class Panel:
    """One row of a film."""

    label: str
    address: str
    """Its frames side by side, as a data URI."""


@dataclass(frozen=True)
class Film:
    """The input, and panels that continue it."""

    title: str
    seen: int
    """Frames of the input."""
    ahead: int
    """Frames of every panel."""
    width: int
    """Width of a shown frame in pixels; `height` likewise."""
    height: int
    input_address: str
    panels: tuple[Panel, ...]

    @property
    def frames(self) -> int:
        """Frames of the whole film."""
        return self.seen + self.ahead

    @property
    def seconds(self) -> float:
        """Duration of the film."""
        return self.frames * FRAME_SECONDS

    @property
    def times(self) -> list[int]:
        """The lead time of each frame; that of the last input frame is 0."""
        return list(range(1 - self.seen, self.ahead + 1))


def film(title: str, rows: Rows, labels: Mapping[str, str], painter: Painter) -> Film:
    """Makes a film from rows of frames, one of them `input`; `labels` may replace the names of rows."""
    rows = {name: thumbnail(frames, SIDE) for name, frames in rows.items()}
    seen = rows.pop("input")[-FRAMES:]
    ahead = {name: frames[:FRAMES] for name, frames in rows.items()}
    height, width = seen.shape[-2:]
    scale = max(1, round(SHOWN_SIDE / max(height, width)))
    return Film(
        title,
        len(seen),
        max(map(len, ahead.values())),
        width * scale,
        height * scale,
        _address(seen, painter),
        tuple(Panel(labels.get(name, name), _address(frames, painter)) for name, frames in ahead.items()),
    )


def _address(frames: Tensor, painter: Painter) -> str:
    """The frames side by side as a data URI, lossless up to `LOSSLESS_BYTES`."""
    picture = np.hstack([to_image(frame, painter) for frame in frames])
    encoded = encode(picture, ".webp")
    if len(encoded) > LOSSLESS_BYTES:
        encoded = encode(picture, ".webp", quality=QUALITY)
    return data_uri("webp", encoded)
