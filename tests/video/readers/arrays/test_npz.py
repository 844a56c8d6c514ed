from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from video_helpers import frames_by

from convlstm_cli.errors import InputError
from convlstm_cli.video.cache import fingerprint_of
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.npz import NpzFile
from convlstm_cli.video.search import find_videos


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLSTM_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_archive(tmp_path: Path, save: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "a": random.normal(size=(5, 8, 7)).astype(np.float32),
        "b": random.integers(0, 999, (9, 20, 8, 8)),
    }
    path = tmp_path / "f.npz"
    save(path, **arrays, label=np.arange(4), words=np.array(["x"]))
    assert NpzFile(path, path).shapes == {"a": (5, 8, 7), "b": (9, 20, 8, 8), "label": (4,)}
    for part, expected in (("a", arrays["a"]), ("b::7", arrays["b"][:, 7]), ("b::axes=NTHW::7", arrays["b"][7])):
        frames = [frame.pixels for frame in frames_by(Path(f"{path}::{part}"), NpzFile)]
        np.testing.assert_array_equal(frames, expected[..., None])
    found = find_videos([path])
    assert [video.name for video in found.videos] == [f"f.npz::{number}" for number in range(20)]
    assert "b is read, the largest of 2 arrays; name another as 'FILE::a'" in found.notes[0].text
    assert fingerprint_of(found.videos[0].path)


def test_one_array(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 8, 7), np.uint8)
    np.savez_compressed(tmp_path / "f.npz", array)
    with open_video(tmp_path / "f.npz") as video:
        assert (video.kind, video.notes) == ("npz", [])
        np.testing.assert_array_equal(list(video), array[..., None])


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    np.savez_compressed(path, np.random.default_rng(0).integers(0, 256, (50, 30, 30), np.uint8))
    content = bytearray(path.read_bytes())
    content[20_000] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"f\.npz: is damaged|f\.npz: is cut off or damaged"):
        open_video(path)
    path.write_bytes(content[:-100])
    with pytest.raises(InputError, match="damaged or not a numpy"):
        open_video(path)
    np.savez(path, np.arange(3))
    with pytest.raises(InputError, match=r"it holds arr_0 \(3,\); a video is"):
        open_video(path)


def test_no_pickle_of_an_archive_is_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.array([[[{"a": 1}]]], dtype=object))
    with pytest.raises(InputError, match="holds no array of numbers"):
        open_video(tmp_path / "a.npz")
