import numpy as np
import pytest
import torch

from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.missing import StandingApart, filled, filled_clip, gone, mark
from convlstm_cli.video.tensors import clip_tensor, to_float, valid
from convlstm_cli.video.values import BYTES, ValueRange

RANDOM = np.random.default_rng(0)
CPU = torch.device("cpu")


def test_holes_take_the_nearest_value_of_their_channel() -> None:
    frame = RANDOM.uniform(1, 2, (9, 12, 2))
    holes = np.zeros(frame.shape, bool)
    holes[2:7, 3:8, 0] = True
    holes[..., 1] = True
    result = filled(frame, holes)
    np.testing.assert_array_equal(result[~holes], frame[~holes])
    assert result[3, 3, 0] == frame[3, 2, 0]
    assert result[2, 5, 0] == frame[1, 5, 0]
    assert set(result[2:7, 3:8, 0].ravel()) <= set(frame[~holes[..., 0], 0])
    assert not result[..., 1].any()


def test_frames_without_a_value_are_those_nearest_in_time() -> None:
    clip = np.arange(1, 6, dtype=np.float32)[:, None, None, None] * np.ones((5, 3, 4, 1), np.float32)
    holes = np.zeros(clip.shape, bool)
    holes[[1, 2, 4]] = True
    holes[0, 0] = True
    assert filled_clip(clip, holes)[:, 0, 0, 0].tolist() == [1, 1, 4, 4, 4]
    assert not filled_clip(clip, np.ones_like(holes)).any()


def test_floats_are_marked_and_integers_keep_their_value() -> None:
    floats = np.array([1.0, np.inf, -9999.0, np.nan], np.float32)
    np.testing.assert_array_equal(mark(floats, -9999.0), [1, np.nan, np.nan, np.nan])
    whole = np.array([1, 255], np.uint8)
    assert mark(whole, 255) is whole
    assert gone(whole, None) is None
    found = gone(whole, 255)
    assert found is not None
    assert found.tolist() == [False, True]


@pytest.mark.parametrize(("dtype", "missing"), [("float32", None), ("uint16", 65535), ("uint8", 255)])
@pytest.mark.parametrize("side", [16, 40])
def test_no_missing_pixel_is_blended_into_others(dtype: str, missing: float | None, side: int) -> None:
    frame = np.full((24, 24, 1), 100).astype(dtype)
    frame[:, 14:] = np.nan if missing is None else missing
    fitted = FrameGeometry(side, side).fit_frame(frame, missing)
    holes = gone(fitted, missing)
    assert holes is not None
    np.testing.assert_allclose(fitted[~holes], 100, rtol=1e-6)
    assert holes.mean() == pytest.approx(10 / 24, abs=0.5 / side + 0.02)


@pytest.mark.parametrize("under", [np.nan, np.inf, -9999.0, 55.0])
def test_a_clip_does_not_depend_on_what_lies_under_the_mask(under: float) -> None:
    frames = RANDOM.uniform(0, 50, (3, 8, 10, 1)).round()
    holes = RANDOM.random(frames.shape) < 0.4
    shown = frames.copy()
    shown[holes] = under
    values = ValueRange(0.0, 60.0)
    clip = clip_tensor(mark(shown, -9999.0 if under < 0 else 55.0), values)
    whole, there = to_float(clip, CPU), valid(clip, CPU)
    assert there is not None
    np.testing.assert_array_equal(there.numpy(), ~holes.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(whole[there], (frames / 60).transpose(0, 3, 1, 2)[there.numpy()], atol=1e-6)
    expected = filled_clip((frames / 60).astype(np.float32), holes)
    np.testing.assert_allclose(whole, expected.transpose(0, 3, 1, 2), atol=1e-6)
    if np.isfinite(under):
        integers = clip_tensor(shown.astype(np.int16), values, int(under))
        np.testing.assert_array_equal(to_float(integers, CPU), whole)


def test_pictures_without_missing_pixels_stay_bytes() -> None:
    clip = RANDOM.integers(0, 256, (2, 4, 5, 3), np.uint8)
    assert clip_tensor(clip, BYTES).dtype == torch.uint8
    assert valid(clip_tensor(clip, BYTES), CPU) is None
    np.testing.assert_array_equal(to_float(clip_tensor(clip, BYTES, 300), CPU), to_float(clip_tensor(clip, BYTES), CPU))


def noted(frames: np.ndarray) -> str | None:
    finder = StandingApart()
    for frame in frames:
        finder.add(frame)
    return finder.note()


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 255), ("int16", -999), ("float32", -9999)])
def test_a_value_that_stands_apart_and_never_moves_is_noticed(dtype: str, value: int) -> None:
    frames = RANDOM.integers(0, 110, (6, 20, 20, 1)).astype(dtype)
    frames[:, :, :5] = value
    note = noted(frames)
    assert note is not None
    assert f"--missing {value}" in note
    moving = frames.copy()
    moving[3, 0, 0] = 7
    assert noted(moving) is None
    near = frames.copy()
    near[0, 0, 19] = value + (1 if value < 0 else -1)
    assert noted(near) is None


def test_white_and_black_pictures_and_still_ones_are_not() -> None:
    frames = RANDOM.integers(0, 256, (6, 20, 20, 3), np.uint8)
    assert noted(frames) is None
    frames[:, :, :5] = 0
    assert noted(frames.clip(0, 250)) is None
    assert noted(np.zeros((3, 20, 20, 1), np.float32)) is None
