import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.video.readers.arrays.layout import FEW, guessed_layout, is_layout, named_layout


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((48, 64), "HW"),
        ((48, 64, 3), "HWC"),
        ((24, 48, 64), "THW"),
        ((64, 64, 20), "HWT"),
        ((64, 64, 48), "THW"),
        ((24, 48, 64, 3), "THWC"),
        ((24, 64, 64, 7), "THWC"),
        ((24, 3, 48, 64), "TCHW"),
        ((24, 1, 64, 64), "TCHW"),
        ((48, 64, 3, 24), "HWCT"),
        ((20, 10000, 64, 64), "TNHW"),
        ((20, 50, 64, 64), "TNHW"),
        ((50, 20, 64, 64), "NTHW"),
        ((20, 20, 64, 64), "TNHW"),
        ((3, 50, 64, 64), "NTHW"),
        ((1, 50, 64, 64), "NTHW"),
        ((10000, 20, 1, 64, 64), "NTCHW"),
        ((20, 10000, 1, 64, 64), "TNCHW"),
        ((200, 20, 64, 64, 3), "NTHWC"),
        ((200, 3, 20, 64, 64), "NCTHW"),
        ((1, 50, 20, 1, 64, 64), "_NTCHW"),
    ],
)
def test_the_usual_shapes(shape: tuple[int, ...], axes: str) -> None:
    layout = guessed_layout(shape)
    assert layout is not None
    assert layout.axes == axes


@pytest.mark.parametrize("shape", [(), (7,), (0, 5, 6), (2, 2, 2, 2, 2, 2)])
def test_other_shapes_have_none(shape: tuple[int, ...]) -> None:
    assert guessed_layout(shape) is None


@given(st.lists(st.integers(1, 300), min_size=2, max_size=5))
def test_every_guess_fits_its_shape(shape: list[int]) -> None:
    layout = guessed_layout(shape)
    assert layout is not None
    assert is_layout(layout.axes, shape)


@given(st.integers(FEW + 1, 500), st.integers(FEW + 1, 500), st.integers(8, 300))
def test_sequences_of_square_frames_are_told_apart_or_doubted(first: int, second: int, side: int) -> None:
    layout = guessed_layout((first, second, side, side))
    assert layout is not None
    assert layout.doubt is not None
    assert layout.size((first, second, side, side), "T") == min(first, second)


@given(st.integers(FEW + 1, 300), st.integers(FEW + 1, 300), st.integers(FEW + 1, 300), st.sampled_from([1, 3, 4]))
def test_channels_are_found_last_and_second(frames: int, height: int, width: int, channels: int) -> None:
    last, second = guessed_layout((frames, height, width, channels)), guessed_layout((frames, channels, height, width))
    assert (last, second) == (("THWC", None), ("TCHW", None))


def test_names_of_dimensions_come_before_sizes() -> None:
    assert named_layout(("y", "x", "time"), (64, 64, 64)) == ("HWT", None)
    assert named_layout(("time", "level", "lat", "lon"), (20, 1, 64, 64)) == ("T_HW", None)
    assert named_layout(("valid", "lat", "lon"), (20, 64, 64)) == ("THW", None)
    assert named_layout(("time", "level", "lat", "lon"), (20, 5, 64, 64)) is None
    assert named_layout(("a", "b", "c"), (20, 64, 64)) is None
