"""The colour bar of pictures of measured values: round values with their unit, along the colours of the map."""

import math
import unicodedata
from collections.abc import Callable

import numpy as np

from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.painting import MISSING, Painter, Picture
from convlstm_cli.video.values import ValueRange

DARK, INK = 24, 235
"""Greys behind a bar, and of its text."""
FONT, SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.38
ROOM = 96
"""Height in pixels of a film from which there is room for a bar beside it."""
THICK, MARK = 12, 4
"""Thickness of a bar and length of its tick marks in pixels."""
WHOLE = 1e6
"""Values below which whole numbers are written out."""
SPELT = {"°": "deg ", "µ": "u", "μ": "u", "·": " ", "−": "-", "⁻": "-", "–": "-"}
"""What ASCII makes of letters of units."""
ASCII_ONLY = int(cv2.__version__.split(".")[0]) < 5
"""Whether this OpenCV draws no other letters."""


def below(painter: Painter, length: int, *, missing: bool = False) -> Picture:
    """A horizontal colour bar with its values and unit, about `length` pixels long, on a dark ground.

    With `missing` it also shows the grey of missing pixels.
    """
    unit = f" {drawable(painter.values.first.unit)}".rstrip()
    ticks = _ticks(painter.values.first, unit, length, lambda text: _width(text) + 12)
    ends = _width(ticks[0][1]) // 2 + 6, _width(ticks[-1][1]) // 2 + 6
    gap = _width("no data") + 3 * THICK if missing else 0
    picture = np.full((THICK + MARK + 24, ends[0] + length + ends[1] + gap, 3), DARK, np.uint8)
    top, left = 6, ends[0]
    picture[top : top + THICK, left : left + length] = painter.colours[np.linspace(0, 255, length).round().astype(int)]
    for share, text in ticks:
        at = left + round(share * (length - 1))
        picture[top + THICK : top + THICK + MARK, at] = INK
        _write(picture, text, at - _width(text) // 2, top + THICK + MARK + 12)
    if missing:
        at = left + length + ends[1]
        picture[top : top + THICK, at : at + THICK] = MISSING
        _write(picture, "no data", at + THICK + 6, top + THICK - 2)
    return picture


def beside(painter: Painter, height: int) -> Picture:
    """A vertical colour bar (height, W, 3) with its values and unit, to stand beside a film."""
    unit = drawable(painter.values.first.unit)
    top, bottom = 22 if unit else 8, 8
    length = height - top - bottom
    ticks = _ticks(painter.values.first, "", length, lambda _: 14)
    width = max(THICK + MARK + 10 + max(_width(text) for _, text in ticks), _width(unit) + 10)
    picture = np.full((height, width, 3), DARK, np.uint8)
    levels = np.linspace(255, 0, length).round().astype(int)
    picture[top : top + length, 4 : 4 + THICK] = painter.colours[levels][:, None]
    for share, text in ticks:
        at = top + round((1 - share) * (length - 1))
        picture[at, 4 + THICK : 4 + THICK + MARK] = INK
        _write(picture, text, 8 + THICK + MARK, at + 4)
    _write(picture, unit, 4, 13)
    return picture


def drawable(text: str) -> str:
    """A text in letters that OpenCV draws, without accents where these are ASCII."""
    if not ASCII_ONLY:
        return text
    spelt = unicodedata.normalize("NFKD", "".join(SPELT.get(letter, letter) for letter in text))
    plain = "".join(letter for letter in spelt if not unicodedata.combining(letter))
    return plain.translate({0x2212: "-"}).encode("ascii", "replace").decode().strip()


def _ticks(values: ValueRange, unit: str, length: int, room: Callable[[str], int]) -> list[tuple[float, str]]:
    """Values along the bar as shares of it, each with its label: both ends, and round ones where there is room.

    `unit` stands behind the largest; `room` gives the pixels that a label takes.
    """
    low, high = values.low, values.high
    digits = 4 + max(0, math.floor(math.log10(max(abs(low), abs(high)) / (high - low))))
    placed = [(0.0, _label(low, digits)), (1.0, _label(high, digits) + unit)]
    for value in _round_values(values):
        share, text = float(values.to_unit(np.float64(value))), _label(value, digits)
        if all(abs(share - at) * length >= (room(text) + room(other)) / 2 for at, other in placed):
            placed.append((share, text))
    return sorted(placed)


def _round_values(values: ValueRange) -> list[float]:
    """Round values inside the range, the roundest first: powers of ten and their parts, or an even step."""
    low, high = values.low, values.high
    if values.log and low >= 0:
        powers = range(math.floor(math.log10(high)), math.floor(math.log10(high)) - 5, -1)
        steps = [digit * 10.0**power for digit in (1, 5, 2) for power in powers]
        return [value for value in steps if low < value < high]
    magnitude = 10.0 ** math.floor(math.log10(high - low))
    step = next(part * magnitude for part in (0.1, 0.2, 0.5, 1.0) if (high - low) / (part * magnitude) <= 10)
    evenly = (np.arange(math.ceil(low / each), math.floor(high / each) + 1) * each for each in (5 * step, step))
    return [float(value) for value in np.concatenate(list(evenly)) if low < value < high]


def _label(value: float, digits: int) -> str:
    value += 0.0  # which turns -0 into 0
    return f"{value:.0f}" if value.is_integer() and abs(value) < WHOLE else f"{value:.{digits}g}"


def _width(text: str) -> int:
    return int(cv2.getTextSize(text, FONT, SIZE, 1)[0][0])


def _write(picture: Picture, text: str, left: int, bottom: int) -> None:
    cv2.putText(picture, text, (left, bottom), FONT, SIZE, (INK,) * 3, 1, cv2.LINE_AA)
