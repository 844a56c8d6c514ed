"""Clips as films: rows of frames that a page plays in step, without a video format or a script."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convlstm_cli.reporting.pictures import data_uri, encode, thumbnail, to_image

SIDE = 96
"""Longest side in pixels of a frame; larger ones are shrunk."""
SHOWN_SIDE = 128
"""Longest side in a page, about: small frames are enlarged by whole numbers."""
FRAMES = 40
"""Of the input, the last ones, and of the forecast, the first ones, at most."""
FRAME_SECONDS = 0.25
LOSSLESS_BYTES = 32_000
"""Of a row of frames; noise makes more, and a page of many clips too large."""
QUALITY = 90
"""Of what is compressed with loss, from 1 to 100."""


@dataclass(frozen=True)
class Panel:
    """One row of a film."""

    label: str
    address: str
    """Its frames beside each other, as a data URI."""


@dataclass(frozen=True)
class Film:
    """The input, once, and panels that go on from it."""

    title: str
    seen: int
    """Frames of the input."""
    ahead: int
    """Frames of every panel."""
    width: int
    """Of a frame as it is shown, in pixels."""
    height: int
    input_address: str
    panels: tuple[Panel, ...]

    @property
    def frames(self) -> int:
        """Of the whole film."""
        return self.seen + self.ahead

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frames * FRAME_SECONDS

    @property
    def times(self) -> list[int]:
        """The lead time of each frame; that of the last input frame is 0."""
        return list(range(1 - self.seen, self.ahead + 1))


def film(title: str, rows: Mapping[str, Tensor], labels: Mapping[str, str]) -> Film:
    """A film of rows (T, C, H, W) in [0, 1], one of them `input`; a panel is called by its label or else its name."""
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
        _address(seen),
        tuple(Panel(labels.get(name, name), _address(frames)) for name, frames in ahead.items()),
    )


def _address(frames: Tensor) -> str:
    """The frames beside each other, without loss unless that takes too many bytes."""
    picture = np.hstack([to_image(frame) for frame in frames])
    encoded = encode(picture, ".webp")
    if len(encoded) > LOSSLESS_BYTES:
        encoded = encode(picture, ".webp", quality=QUALITY)
    return data_uri("webp", encoded)
