"""Frames as pictures: strips, thumbnails, and image files."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.files import replacing
from convlstm_cli.video import colour_bar
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.painting import Painter

Image = npt.NDArray[np.uint8]
Rows = Mapping[str, Tensor]
"""Rows of frames by name, each (T, C, H, W) in [0, 1], with NaN where pixels are missing."""

BAR = 320
"""Length of a colour bar in pixels."""


def write_strip(path: Path, rows: Rows, painter: Painter) -> None:
    """Writes a PNG with one labelled row of frames for each entry, and with a colour bar where frames are in colours.

    The frames of a row named `input` are numbered up to 0, the last input frame; other rows count lead times from 1.
    """
    write_image(path, with_bar([strip(rows, painter)], [rows], painter))


def strip(rows: Rows, painter: Painter, title: str = "") -> Image:
    """The rows of `write_strip`, (H, W, 3) RGB, below a line of text where there is a `title`."""
    gap, header = 4, 18
    first = next(iter(rows.values()))
    height, width = first.shape[-2:]
    scale = max(1, round(96 / max(height, width)))
    height, width = height * scale, width * scale
    label = 12 + max(cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0] for name in rows)
    columns = max(len(frames) for frames in rows.values())
    picture = np.full((len(rows) * (header + height), label + columns * (width + gap), 3), 24, np.uint8)
    for index, (name, frames) in enumerate(rows.items()):
        top = index * (header + height) + header
        write_text(picture, name, 4, top + height // 2)
        for column, frame in enumerate(frames):
            left = label + column * (width + gap)
            number = column - len(frames) + 1 if name == "input" else column + 1
            write_text(picture, f"{number:+d}" if number else "0", left, top - 5, faint=True)
            tile = cv2.resize(to_image(frame, painter), (width, height), interpolation=cv2.INTER_NEAREST)
            picture[top : top + height, left : left + width] = tile
    if title:
        line = np.full((32, picture.shape[1], 3), 24, np.uint8)
        write_text(line, colour_bar.drawable(title), 4, 24)
        picture = np.vstack((line, picture))
    return picture


def with_bar(strips: Sequence[Image], clips: Sequence[Rows], painter: Painter) -> Image:
    """Strips below each other, and below them the colour bar of the clips that they show, if these are in colours."""
    below = bar(clips, painter)
    pictures = [*strips, *([] if below is None else [below])]
    width = max(each.shape[1] for each in pictures)
    wide = [np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0)), constant_values=24) for each in pictures]
    return np.vstack(wide)


def bar(clips: Sequence[Rows], painter: Painter) -> Image | None:
    """The colour bar (H, W, 3) of the frames of clips; None where they are drawn without a colour map."""
    if not any(painter.maps(frames.shape[1]) for rows in clips for frames in rows.values()):
        return None
    return colour_bar.below(painter, BAR, missing=has_gaps(clips))


def has_gaps(clips: Sequence[Rows]) -> bool:
    """Whether any frame of clips has a missing pixel."""
    return any(bool(frames.isnan().any()) for rows in clips for frames in rows.values())


def thumbnail(frames: Tensor, side: int) -> Tensor:
    """A copy of frames (T, C, H, W) on the CPU, shrunk where a side is longer than `side` pixels.

    A pixel is NaN where most of what it is made of is; else it is the mean of the rest.
    """
    longest = max(frames.shape[-2:])
    if longest <= side:
        return frames.detach().to("cpu", copy=True)  # a view would keep the whole batch in memory
    height, width = (max(1, round(each * side / longest)) for each in frames.shape[-2:])
    gaps = frames.isnan()
    if not gaps.any():
        return F.interpolate(frames, (height, width), mode="area").cpu()
    known = F.interpolate((~gaps).float(), (height, width), mode="area")
    shrunk = F.interpolate(frames.nan_to_num(0.0), (height, width), mode="area") / known
    return shrunk.masked_fill(known < 0.5, torch.nan).cpu()


def to_image(frame: Tensor, painter: Painter) -> Image:
    """Converts (C, H, W) in [0, 1], with NaN where pixels are missing, to (H, W, 3) RGB uint8."""
    return painter.paint_shares(frame.permute(1, 2, 0).cpu().numpy())


def write_image(path: Path, picture: Image) -> None:
    """Writes (H, W, 3) RGB as a PNG file."""
    with replacing(path) as partial:
        partial.write_bytes(encode(picture))


def encode(picture: Image, suffix: str = ".png", *, quality: int | None = None) -> bytes:
    """Encodes (H, W, 3) RGB as a `.png` or `.webp` file; WebP is lossless unless a `quality` is given."""
    options = [cv2.IMWRITE_WEBP_QUALITY, quality or 101] if suffix == ".webp" else []  # above 100 is lossless
    _, encoded = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return bytes(encoded)


def data_uri(kind: str, encoded: bytes) -> str:
    """An encoded picture as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


def write_text(picture: Image, text: str, left: int, bottom: int, *, faint: bool = False) -> None:
    """Draws a line of text on a dark picture, from a pixel at its left and bottom end."""
    size, grey = (0.35, 150) if faint else (0.45, 235)
    cv2.putText(picture, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, size, (grey,) * 3, 1, cv2.LINE_AA)
