import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from convlstm_cli.video.colour import GREY_TOLERANCE, is_grey, to_channels

GREY = npst.arrays(np.uint8, st.tuples(*[st.integers(1, 9)] * 2, st.just(1)))


@pytest.mark.parametrize("spread", [0, 1, GREY_TOLERANCE - 1, GREY_TOLERANCE, GREY_TOLERANCE + 1, 255])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_coloured_pixel_decides(spread: int, channel: int) -> None:
    frame = np.zeros((5, 7, 3), np.uint8)
    frame[3, 2, channel] = spread
    assert is_grey(frame) == (spread <= GREY_TOLERANCE)


@given(GREY)
def test_one_channel_is_grey_and_survives_three(frame: np.ndarray) -> None:
    assert is_grey(frame)
    colour = to_channels(frame, 3)
    assert colour.shape == (*frame.shape[:2], 3)
    assert is_grey(colour, tolerance=0)
    np.testing.assert_array_equal(to_channels(colour, 1), frame)


def test_luminance_tells_rgb_from_bgr_and_takes_clips() -> None:
    clip = np.zeros((2, 3, 4, 3), np.uint8)
    clip[0, ..., 0] = clip[1, ..., 2] = 255
    grey = to_channels(clip, 1)
    assert grey.shape == (2, 3, 4, 1)
    assert (grey[0] == 76).all()  # 0.299 * 255
    assert (grey[1] == 29).all()  # 0.114 * 255


def test_the_same_channels_cost_nothing() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    assert to_channels(frame, 3) is frame


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_other_types_are_grey_only_where_their_channels_agree_and_keep_their_numbers(dtype: str) -> None:
    grey = np.repeat(np.array([[[300], [-7 if dtype != "uint16" else 7], [40000]]], dtype), 3, axis=2)
    assert is_grey(grey, tolerance=0)
    np.testing.assert_allclose(to_channels(grey, 1), grey[..., :1], rtol=1e-6)
    tinted = grey.copy()
    tinted[0, 0, 0] += 100
    assert not is_grey(tinted, tolerance=0)
    assert is_grey(tinted, tolerance=1) == (dtype == "uint16")  # a step of 255 is 257 of 65535
