import itertools

import numpy as np
import pytest

from convlstm_cli.video import colour_bar
from convlstm_cli.video.colour_bar import ROOM, below, beside
from convlstm_cli.video.painting import MISSING, Painter, Picture
from convlstm_cli.video.values import ValueRange

RANGES = [
    ValueRange(0.0, 80.0, "mm/h", log=True),
    ValueRange(-32.0, 60.0, "dBZ"),
    ValueRange(223.21, 313.74, "K"),
    ValueRange(0.0, 65535.0, "counts"),
    ValueRange(-12.0, 38.5, "°C"),
    ValueRange(0.0, 1.5e-3, "kg m⁻² s⁻¹", log=True),
    ValueRange(-5.0, 5.0, log=True),
    ValueRange(1e6, 1e6 + 1),
]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """The texts that a bar gets, with their left end and their bottom."""
    texts: list[tuple[str, int, int]] = []
    write = colour_bar._write

    def keep(picture: Picture, text: str, left: int, bottom: int) -> None:
        texts.append((text, left, bottom))
        write(picture, text, left, bottom)

    monkeypatch.setattr(colour_bar, "_write", keep)
    return texts


def test_a_bar_has_round_values_the_unit_and_the_colours(written: list[tuple[str, int, int]]) -> None:
    painter = Painter(RANGES[0])
    bar = below(painter, 400, missing=True)
    assert [text for text, *_ in written] == [
        *("0", "0.2", "0.5", "1", "2", "5", "10", "20", "80 mm/h"),
        "no data",
    ]
    assert painter.colours[[0, 255]].tolist() == [[68, 1, 84], [253, 231, 37]]
    for colour in (*painter.colours[[0, 100, 255]], np.full(3, MISSING)):
        assert (bar == colour).all(axis=2).any()
    written.clear()
    assert below(painter, 400).shape[1] < bar.shape[1]
    assert "no data" not in {text for text, *_ in written}


@pytest.mark.parametrize(("ascii_only", "unit"), [(True, "deg C"), (False, "°C")])
def test_a_unit_is_written_in_letters_that_opencv_draws(
    ascii_only: bool, unit: str, written: list[tuple[str, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colour_bar, "ASCII_ONLY", ascii_only)
    beside(Painter(RANGES[4]), 256)
    assert [text for text, *_ in written] == ["-12", "0", "10", "20", "30", "38.5", unit]


@pytest.mark.parametrize(
    ("text", "spelt"), [("MSE (mm/h)²", "MSE (mm/h)2"), ("Zürich – µm", "Zurich - um"), ("日本.tif", "??.tif")]
)
def test_letters_beyond_ascii_are_spelt_where_opencv_draws_none(
    text: str, spelt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colour_bar, "ASCII_ONLY", True)
    assert colour_bar.drawable(text) == spelt
    monkeypatch.setattr(colour_bar, "ASCII_ONLY", False)
    assert colour_bar.drawable(text) == text


@pytest.mark.parametrize("values", RANGES)
def test_labels_neither_overlap_nor_leave_the_picture(values: ValueRange, written: list[tuple[str, int, int]]) -> None:
    bar = below(Painter(values), 320)
    ends = [(left, left + colour_bar._width(text)) for text, left, _ in written]
    assert len(ends) >= 2
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(ends))
    assert ends[0][0] >= 0
    assert ends[-1][1] <= bar.shape[1]
    for height in (ROOM, 257):
        written.clear()
        side = beside(Painter(values), height)
        assert side.shape[0] == height
        assert all(left + colour_bar._width(text) <= side.shape[1] for text, left, _ in written)
        rows = sorted(bottom for _, _, bottom in written[:-1])
        assert all(lower - upper >= 10 for upper, lower in itertools.pairwise(rows))
