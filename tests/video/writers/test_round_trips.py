"""What the exact formats write comes back: every type of pixels, any number of channels, missing pixels."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_helpers import few

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.source import Placement
from convlstm_cli.video.values import TYPES
from convlstm_cli.video.writers import open_writer

STAND_INS = {
    "tiff": {"bool": "uint8", "float16": "float32"},
    "geotiff": {"bool": "uint8", "float16": "float32"},
    "netcdf": {"float16": "float32"},
}
"""Types that a format has not, and those that hold their values."""
EXACT = ("npy", "npz", "tiff", "geotiff", "netcdf", "zarr", "hdf5")


def written(path: Path, kind: str, frames: list[Frame], placement: Placement | None = None) -> Path:
    path = path.with_suffix(OUTPUT_FORMATS[kind].suffix) if OUTPUT_FORMATS[kind].suffix else path
    with open_writer(path, kind, 10.0, placement=placement) as writer:
        for frame in frames:
            assert writer.keeps(frame)
            writer.write(frame)
    return path


@settings(few, max_examples=5)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 5]), st.integers(2, 4), st.booleans())
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("dtype", sorted(TYPES))
def test_every_type_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, dtype: str, seed: int, channels: int, count: int, known: bool
) -> None:
    random = np.random.default_rng(seed)
    shape = (count, 9, 7, channels)
    if np.dtype(dtype).kind == "f":
        frames = (random.standard_normal(shape) * 100).astype(dtype)
        frames[random.random(shape) < 0.2] = np.nan
    elif dtype == "bool":
        frames = random.random(shape) < 0.5
    else:
        limits = np.iinfo(dtype)
        frames = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    path = written(
        tmp_path_factory.mktemp("trip") / "a", kind, list(frames), Placement(frames=count) if known else None
    )
    named = Path(f"{path}::axes=T{'HW' if channels == 1 else 'HWC'}") if kind in ("npy", "npz") else path
    with open_video(named) as video:
        seen = np.stack(list(video))
    assert seen.dtype.name == STAND_INS.get(kind, {}).get(dtype, dtype)
    np.testing.assert_array_equal(seen, frames)


@pytest.mark.parametrize("kind", [kind for kind in EXACT if kind not in ("npy", "npz")])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
def test_missing_pixels_are_declared(tmp_path: Path, kind: str, dtype: str) -> None:
    frames = np.arange(3 * 9 * 7).reshape(3, 9, 7, 1).astype(dtype)
    frames[:, 2, 3] = np.nan if dtype == "float32" else 200
    path = written(tmp_path / "a", kind, list(frames), Placement(missing=200.0))
    with open_video(path) as video:
        assert video.missing == (None if dtype == "float32" else 200)
        np.testing.assert_array_equal(np.stack(list(video)), frames)


@pytest.mark.parametrize("expected", [2, 5])
@pytest.mark.parametrize("kind", EXACT)
def test_another_number_of_frames_than_was_expected(tmp_path: Path, kind: str, expected: int) -> None:
    frames = list(np.arange(4 * 9 * 7, dtype=np.uint16).reshape(4, 9, 7, 1))
    path = written(tmp_path / "a", kind, frames, Placement(frames=expected))
    with open_video(path) as video:
        np.testing.assert_array_equal(np.stack(list(video)), frames)
        assert video.notes == []
