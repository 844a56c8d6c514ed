import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import GREY_TOLERANCE, is_grey, to_channels, to_uint8

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


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([False, True]), [0, 255]),
        (np.array([0, 257, 128, 129, 65535], np.uint16), [0, 1, 0, 1, 255]),
        (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255]),
        (np.array([0.0, 1.0], np.float16), [0, 255]),
    ],
)
def test_types_are_scaled_to_the_whole_range(pixels: np.ndarray, expected: list[int]) -> None:
    result = to_uint8(pixels, "x")
    assert result.dtype == np.uint8
    assert result.tolist() == expected


@given(st.integers(0, 255))
def test_every_grey_value_survives_16_bits_and_floats(value: int) -> None:
    assert to_uint8(np.array([value * 257], np.uint16), "x")[0] == value
    assert to_uint8(np.array([value / 255], np.float32), "x")[0] == value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.01, 1.01, 255.0])
def test_floats_outside_the_range_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match=r"^x: .*\[0, 1\].*divide"):
        to_uint8(np.array([0.5, bad]), "x")


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint32, np.complex64])
def test_other_types_are_refused_by_name(dtype: type) -> None:
    with pytest.raises(InputError, match=np.dtype(dtype).name):
        to_uint8(np.zeros(3, dtype), "x")


def test_the_order_of_bytes_does_not_matter() -> None:
    pixels = np.array([[0, 257, 65535]], ">u2")
    assert to_uint8(pixels, "x").tolist() == [[0, 1, 255]]
