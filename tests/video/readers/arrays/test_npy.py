import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few, frames_by, kept_type, read

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import open_video, unpacked
from convlstm_cli.video.readers.arrays.npy import NpyFile
from convlstm_cli.video.search import find_videos
from convlstm_cli.video.values import TYPES


@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 5, 7, 1), (3, 5, 7, 3), (3, 5, 7, 4)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", array)
    with open_video(tmp_path / "a.npy") as video:
        assert (video.kind, video.declared_frames, video.fps) == ("array", 3, None)
        frames = list(video)
    expected = array[..., None] if array.ndim == 3 else array
    np.testing.assert_array_equal(frames, expected)


def test_fortran_order(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), array[..., None])


@pytest.mark.parametrize("name", sorted(TYPES))
def test_values_keep_their_type_and_missing_ones_stay(tmp_path: Path, name: str) -> None:
    array = np.array([[[0, 1, 0], [1, 0, 1]]] * 3).astype(np.dtype(name).newbyteorder(">"))
    if array.dtype.kind == "f":
        array[2, 1, 1] = math.nan
    np.save(tmp_path / "a.npy", array)
    with open_video(tmp_path / "a.npy") as video:
        frames = np.stack(list(video))
    assert frames.dtype == np.dtype(name)
    np.testing.assert_array_equal(frames[..., 0], array)


@pytest.mark.parametrize("shape", [(7,), (0, 5, 7), (3, 0, 7), (2, 3, 5, 7, 3), (2, 2, 2, 2, 2, 2)])
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


def test_parts_that_are_not_there(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 6, 9, 9), np.uint8))
    for part, message in (
        ("6", "has no video 6; the array has 6"),
        ("b", "holds no 'b'"),
        ("axes=NTH", "fit the shape"),
    ):
        with pytest.raises(InputError, match=message):
            open_video(f"{tmp_path / 'a.npy'}::{part}")
    with pytest.raises(InputError, match=r"taken for 6 videos of 5 frames.*give one of them, such as"):
        open_video(tmp_path / "a.npy")


@few
@given(
    st.sampled_from(["?", "B", "b", "h", "i", ">H", "H", "e", "f", ">f", "d"]),
    st.permutations("NTCHW"),
    st.integers(0, 2**32),
)
def test_every_type_and_order_of_axes_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, kind: str, axes: list[str], seed: int
) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    random = np.random.default_rng(seed)
    video = random.normal(0, 50, (2, 3, 5, 6, 7)).astype(kind)  # N, T, C, H, W
    stored = np.transpose(video, ["NTCHW".index(axis) for axis in axes])
    np.save(path, np.asfortranarray(stored) if seed % 2 else np.ascontiguousarray(stored))
    frames = [frame.pixels for frame in frames_by(Path(f"{path}::axes={''.join(axes)}::1"), NpyFile)]
    np.testing.assert_array_equal(frames, video[1].transpose(0, 2, 3, 1))
    assert all(frame.dtype == kept_type(np.dtype(kind)) for frame in frames)


def test_moving_mnist_as_it_is_published(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (20, 30, 16, 16), np.uint8)
    np.save(tmp_path / "mnist.npy", array)
    found = find_videos([tmp_path])
    assert [video.name for video in found.videos] == [f"mnist.npy::{number}" for number in range(30)]
    assert "(20, 30, 16, 16) is taken for 30 videos of 20 frames, (time, sequence, row, column)" in found.notes[0].text
    np.testing.assert_array_equal(read(found.videos[7].path), array[:, 7, :, :, None])
    swapped = find_videos([f"{tmp_path / 'mnist.npy'}::axes=NTHW"])
    assert len(swapped.videos) == 20
    assert swapped.videos[3].name == "mnist.npy::axes=NTHW::3"
    np.testing.assert_array_equal(read(swapped.videos[3].path), array[3, :, :, :, None])


@pytest.mark.parametrize(("sequences", "frames"), [(8, 20), (20, 20), (50, 60)])
@pytest.mark.parametrize("first", ["N", "T"])
def test_content_decides_where_it_is_clear(tmp_path: Path, sequences: int, frames: int, first: str) -> None:
    random = np.random.default_rng(0)
    steps = np.cumsum(random.normal(0, 0.01, (sequences, frames, 16, 16)), axis=1)
    video = (steps + random.random((sequences, 1, 16, 16))).astype(np.float32)
    np.save(tmp_path / "a.npy", video if first == "N" else video.swapaxes(0, 1))
    found = find_videos([tmp_path])
    assert [each.name for each in found.videos] == [f"a.npy::{number}" for number in range(sequences)]
    native = [frame.pixels[..., 0] for frame in frames_by(found.videos[3].path, NpyFile)]
    np.testing.assert_array_equal(native, video[3])


def test_a_file_of_that_very_name_comes_first(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((20, 30, 16, 16), np.uint8))
    np.save(tmp_path / "a.npy::7.npy", np.ones((3, 16, 16), np.uint8))
    (tmp_path / "a.npy::7.npy").rename(tmp_path / "a.npy::7")
    with pytest.raises(InputError, match=r"rename it to \.npy"):
        open_video(tmp_path / "a.npy::7")


def test_arrays_of_one_frame_are_a_sequence(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 9, 8), np.uint8)
    for number, frame in enumerate(frames):
        np.save(tmp_path / f"f{number}.npy", frame)
    assert [video.path for video in find_videos([tmp_path]).videos] == [tmp_path]
    np.testing.assert_array_equal(read(tmp_path), frames[..., None])


def test_a_compressed_array_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLSTM_CACHE", str(tmp_path / "cache"))
    array = np.random.default_rng(0).integers(0, 256, (12, 9, 8), np.uint8)
    path = tmp_path / "a.npy.gz"
    with gzip.open(path, "wb") as file:
        np.save(file, array)
    for _ in range(2):
        np.testing.assert_array_equal(read(path), array[..., None])
    assert len(list((tmp_path / "cache").iterdir())) == 1
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cut off or damaged"):
        open_video(path)


def test_what_unpacks_to_more_than_the_disk_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLSTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(unpacked, "FREE", 1e-12)
    path = tmp_path / "a.npy.gz"
    path.write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(InputError, match="unpacks to more than"):
        open_video(path)
    assert not [each for each in (tmp_path / "cache").iterdir() if each.is_file()]


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy"):
        open_video(tmp_path / "a.npy")
