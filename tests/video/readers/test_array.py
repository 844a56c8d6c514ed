import math
from pathlib import Path

import numpy as np
import pytest
from video_helpers import read

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import open_video


@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 5, 7, 1), (3, 5, 7, 3), (3, 5, 7, 4)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", array)
    with open_video(tmp_path / "a.npy") as video:
        assert (video.kind, video.declared_frames, video.fps) == ("array", 3, None)
        frames = list(video)
    expected = array[..., None] if array.ndim == 3 else array[..., :3]
    np.testing.assert_array_equal(frames, expected)


def test_fortran_order(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), array[..., None])


def test_floats_are_checked_frame_by_frame(tmp_path: Path) -> None:
    array = np.full((4, 5, 7), 0.2, np.float32)
    array[2, 1, 1] = math.nan
    np.save(tmp_path / "a.npy", array)
    with open_video(tmp_path / "a.npy") as video:
        assert [next(video)[0, 0, 0], next(video)[0, 0, 0]] == [51, 51]
        with pytest.raises(InputError, match=r"a\.npy: frame 3: .*NaN"):
            next(video)


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7, 2), (0, 5, 7), (3, 0, 7), (2, 3, 5, 7, 3)])
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"a\.npy"):
        open_video(tmp_path / "a.npy")


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((30, 5, 7), np.uint8))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged"):
        open_video(path)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy"):
        open_video(tmp_path / "a.npy")
