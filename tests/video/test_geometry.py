from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import parse_size
from convlstm_cli.video.config import Fit
from convlstm_cli.video.geometry import FrameGeometry, resize

FITS = st.sampled_from(get_args(Fit))
SIDES = st.integers(16, 40)
SOURCE_SIDES = st.integers(1, 90)
CHANNELS = st.sampled_from([1, 3])


@given(SIDES, SIDES, FITS, CHANNELS)
def test_equal_sizes_change_nothing(height: int, width: int, fit: Fit, channels: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    geometry = FrameGeometry(height, width, fit)
    np.testing.assert_array_equal(geometry.fit_frame(frame), frame)
    np.testing.assert_array_equal(geometry.restore(frame, height, width), frame)


@given(SIDES, SIDES, SOURCE_SIDES, SOURCE_SIDES, FITS, CHANNELS)
def test_every_size_comes_and_goes(
    height: int, width: int, source_height: int, source_width: int, fit: Fit, channels: int
) -> None:
    geometry = FrameGeometry(height, width, fit)
    source = np.full((source_height, source_width, channels), 200, np.uint8)
    fitted = geometry.fit_frame(source)
    assert fitted.shape == (height, width, channels)
    assert fitted.dtype == np.uint8
    restored = geometry.restore(fitted, source_height, source_width, background=source)
    # A flat frame comes back exactly if the padding is cut where it was added: black would show at its edge.
    np.testing.assert_array_equal(restored, source)


@given(st.integers(2, 5), FITS)
def test_enlarged_frames_come_back(factor: int, fit: Fit) -> None:
    rows, columns = np.mgrid[:16, :24]
    source = (5 * rows + 4 * columns)[..., None].astype(np.uint8)
    geometry = FrameGeometry(16 * factor, 24 * factor, fit)
    restored = geometry.restore(geometry.fit_frame(source), 16, 24)
    assert np.abs(restored.astype(int) - source).max() <= 1


def test_padding_is_black_and_centred() -> None:
    fitted = FrameGeometry(64, 64, "pad").fit_frame(np.full((50, 100, 3), 255, np.uint8))
    assert (fitted[16:48] == 255).all()
    assert not fitted[:16].any()
    assert not fitted[48:].any()


def test_cropping_keeps_the_centre_and_the_aspect() -> None:
    source = np.zeros((50, 100, 1), np.uint8)
    source[:, 25:75] = 255
    fitted = FrameGeometry(64, 64, "crop").fit_frame(source)
    assert (fitted == 255).all()
    restored = FrameGeometry(64, 64, "crop").restore(fitted, 50, 100)
    np.testing.assert_array_equal(restored, source)
    background = np.full((50, 100, 1), 9, np.uint8)
    pasted = FrameGeometry(64, 64, "crop").restore(fitted, 50, 100, background)
    assert (pasted[:, :25] == 9).all()
    assert (pasted[:, 25:75] == 255).all()
    assert (background == 9).all()


def test_shrinking_averages() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8)
    means = noise.reshape(16, 4, 16, 4, 1).mean(axis=(1, 3))
    assert np.abs(resize(noise, 16, 16) - means).max() <= 0.5
    # One axis grows and the other shrinks: the one that shrinks must not alias.
    stripes = np.tile(np.array([255, 0, 0, 0], np.uint8), (16, 16))[..., None]
    assert np.abs(resize(stripes, 32, 16) - 255 / 4).max() <= 0.5


@pytest.mark.parametrize(
    ("text", "size"), [("64", (64, 64)), ("48x64", (48, 64)), (" 48X64 ", (48, 64)), ("16×4096", (16, 4096))]
)
def test_sizes_are_height_by_width(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64x", "x64", "64x64x3", "-64", "64.5", "15", "64x4097", "big"])
def test_bad_sizes_name_the_option(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        parse_size(text)


def test_a_bad_fit_names_the_option() -> None:
    with pytest.raises(UsageError, match=r"--fit.*pad, crop, stretch"):
        FrameGeometry(64, 64, "fill")  # type: ignore[arg-type]
