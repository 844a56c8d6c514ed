import math

import cv2
import numpy as np
import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.video.colormaps import COLORMAPS, check_colormap
from convlstm_cli.video.painting import MISSING, Painter
from convlstm_cli.video.values import BYTES, ValueRange


def test_photographs_stay_as_they_are() -> None:
    for channels in (1, 3):
        photograph = np.random.default_rng(0).integers(0, 256, (4, 6, channels), np.uint8)
        assert Painter(BYTES, "magma").paint(photograph) is photograph
        shown = Painter().paint_shares(photograph.astype(np.float32) / 255)
        np.testing.assert_array_equal(shown, np.broadcast_to(photograph, (4, 6, 3)))


def test_levels_of_more_bits_are_a_photograph_unless_they_have_a_unit() -> None:
    deep = np.full((2, 2, 1), 512, np.uint16)
    assert Painter(ValueRange(0.0, 1023.0)).paint(deep).tolist() == [[[128]] * 2] * 2
    for measured in (ValueRange(0.0, 1023.0, "counts"), ValueRange(0.0, 1000.0), ValueRange(0.0, 255.0, log=True)):
        assert Painter(measured).paint(deep).shape == (2, 2, 3)


def test_shades_of_grey_span_the_range_and_what_is_missing_is_black() -> None:
    frame = np.array([[[-1.0], [20.0], [40.0], [math.nan]]])
    assert Painter(ValueRange(0.0, 40.0), "none").paint(frame).ravel().tolist() == [0, 128, 255, 0]
    assert Painter(ValueRange(0.0, 40.0)).grey(frame).ravel().tolist() == [0, 128, 255, 0]
    assert Painter().grey(np.array([[[7], [9]]], np.uint8), missing=9).ravel().tolist() == [7, 0]


def test_of_many_channels_one_or_three_are_drawn() -> None:
    wide = Painter(ValueRange(0.0, 1.0))
    assert wide.paint(np.zeros((2, 2, 5), np.float32)).shape == (2, 2, 3)
    two = np.stack((np.zeros((2, 2)), np.ones((2, 2))), axis=2)
    np.testing.assert_array_equal(wide.paint(two), wide.paint(two[:, :, :1]))
    assert Painter().grey(np.zeros((2, 2, 2), np.uint8)).shape == (2, 2, 1)


@pytest.mark.parametrize("log", [False, True])
def test_measured_values_have_the_colours_of_the_map(log: bool) -> None:
    values = ValueRange(-10.0, 50.0, "dBZ", log)
    frame = values.from_unit(np.array([[[0.0], [0.5], [1.0], [math.nan]]]))
    painter = Painter(values, "viridis")
    [low, middle, high, missing] = painter.paint(frame)[0].tolist()
    assert (low, high, missing) == ([68, 1, 84], [253, 231, 37], [MISSING] * 3)  # matplotlib's viridis
    assert middle == painter.colours[128].tolist()
    np.testing.assert_array_equal(painter.paint_shares(values.to_unit(frame)), painter.paint(frame))
    whole = np.array([[[3], [9]]], np.int16)
    assert painter.paint(whole, missing=9)[0, 1].tolist() == [MISSING] * 3


@pytest.mark.parametrize("name", COLORMAPS)
def test_no_colour_of_a_map_is_like_that_of_missing_pixels(name: str) -> None:
    colours = Painter(ValueRange(0.0, 1.0), name).colours
    assert colours.shape == (256, 3)
    assert len(np.unique(colours, axis=0)) > 200
    known, missing = (
        np.asarray(cv2.cvtColor(np.asarray(each, np.float32).reshape(1, -1, 3) / 255, cv2.COLOR_RGB2LAB)[0])
        for each in (colours, [MISSING] * 3)
    )
    assert np.linalg.norm(known - missing, axis=1).min() > 30


def test_a_map_that_there_is_not_is_refused() -> None:
    check_colormap("none")
    with pytest.raises(UsageError, match="--colormap is 'jet'; choose one of viridis"):
        check_colormap("jet")
