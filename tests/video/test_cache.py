import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from video_helpers import MakeVideo

from convlstm_cli.errors import InputError, OutputError
from convlstm_cli.paths import cache_folder, cache_size
from convlstm_cli.video import cache_writer
from convlstm_cli.video.cache_writer import StoredFrames
from convlstm_cli.video.colour import to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import index
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.video_reader import VideoReader

GEOMETRY = FrameGeometry(32, 40)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were opened for decoding."""
    names: list[str] = []

    def spy(path: Path) -> VideoReader:
        names.append(path.name)
        return open_video(path)

    monkeypatch.setattr(cache_writer, "open_video", spy)
    return names


def test_a_video_is_decoded_once(tmp_path: Path, make_video: MakeVideo, decoded: list[str]) -> None:
    make_video(tmp_path / "data" / "v", "webm")
    first = index([tmp_path / "data"], GEOMETRY)
    assert decoded == ["v.webm"]
    assert index([tmp_path / "data"], GEOMETRY) == first
    assert decoded == ["v.webm"]
    index([tmp_path / "data"], FrameGeometry(32, 40, "crop"))
    assert decoded == ["v.webm"] * 2


@pytest.mark.parametrize("colour", [None, 0, 2], ids=["grey", "at first", "later"])
def test_frames_of_one_channel_are_stored_so_until_one_has_colour(colour: int | None, own_cache: Path) -> None:
    """Whatever is stored, the digest is that of the frames in colour."""
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (6, 5, 3 if position == colour else 1), np.uint8) for position in range(4)]
    whole = [to_channels(frame, 3) for frame in frames]
    path = own_cache / "frames"
    own_cache.mkdir(exist_ok=True)
    with path.open("w+b") as file:
        stored = StoredFrames(file)
        for frame, full in zip(frames, whole, strict=True):
            stored.add(frame, full, grey=frame.shape[2] == 1)
    assert (stored.grey, stored.narrow) == (colour is None, colour is None)
    found = np.fromfile(path, np.uint8).reshape(4, 6, 5, -1)
    np.testing.assert_array_equal(found, frames if colour is None else whole)


def test_a_changed_file_is_decoded_again_into_its_entry(
    tmp_path: Path, make_video: MakeVideo, decoded: list[str], own_cache: Path
) -> None:
    path = make_video(tmp_path / "v", "lossless", count=4)
    index([path], GEOMETRY)
    make_video(tmp_path / "v", "lossless", count=6, seed=1)
    assert index([path], GEOMETRY).videos[0].frames == 6
    assert len(decoded) == 2
    assert len(list(own_cache.iterdir())) == 4


def test_a_changed_image_in_a_folder_is_noticed(tmp_path: Path, make_video: MakeVideo, decoded: list[str]) -> None:
    folder = make_video(tmp_path / "v", "png", count=4)
    before = index([folder], GEOMETRY).frames("v")[2].copy()
    shutil.copyfile(folder / "frame_000001.png", folder / "frame_000003.png")
    after = index([folder], GEOMETRY).frames("v")
    assert len(decoded) == 2
    assert (after[2] != before).any()
    np.testing.assert_array_equal(after[2], after[0])


def test_a_touched_file_is_noticed(tmp_path: Path, make_video: MakeVideo, decoded: list[str]) -> None:
    path = make_video(tmp_path / "v", "webm")
    index([path], GEOMETRY)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1000))
    index([path], GEOMETRY)
    assert len(decoded) == 2


@pytest.mark.parametrize("damage", ["cut frames", "long frames", "no frames", "cut json", "other json", "no json"])
def test_a_damaged_entry_is_made_again(
    tmp_path: Path, make_video: MakeVideo, decoded: list[str], own_cache: Path, damage: str
) -> None:
    path = make_video(tmp_path / "v", "webm")
    good = np.array(index([path], GEOMETRY).frames("v.webm"))
    kind, suffix = damage.split()
    (entry,) = own_cache.glob(f"*.{suffix}")
    if kind == "no":
        entry.unlink()
    else:
        content = entry.read_bytes()
        entry.write_bytes({"cut": content[:-5], "long": content + b"x", "other": b'{"frames": 3}'}[kind])
    np.testing.assert_array_equal(index([path], GEOMETRY).frames("v.webm"), good)
    assert len(decoded) == 2


def test_a_failed_decoding_leaves_nothing(tmp_path: Path, make_video: MakeVideo, own_cache: Path) -> None:
    folder = make_video(tmp_path / "v", "png", count=4)
    (folder / "frame_000003.png").write_text("x")
    with pytest.raises(InputError, match=r"frame_000003\.png"):
        index([folder], GEOMETRY)
    assert list(own_cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "v", "webm")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file: .*CONVLSTM_CACHE"):
        index([path], GEOMETRY, cache_dir=tmp_path / "file")


def test_a_cache_that_was_deleted_meanwhile(tmp_path: Path, make_video: MakeVideo, own_cache: Path) -> None:
    library = index([make_video(tmp_path / "v", "webm")], GEOMETRY)
    shutil.rmtree(own_cache)
    with pytest.raises(InputError, match="is not there"):
        library.frames("v.webm")


def test_several_processes_may_index_at_once(tmp_path: Path, make_video: MakeVideo, own_cache: Path) -> None:
    for number in range(3):
        make_video(tmp_path / "data" / str(number), "webm", seed=number)
    code = (
        "import sys\nfrom convlstm_cli.video.geometry import FrameGeometry\n"
        "from convlstm_cli.video.library import index\n"
        "library = index(sys.argv[1:], FrameGeometry(32, 40))\n"
        "print(sum(int(library.frames(video.name).sum()) for video in library.videos))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    library = index([tmp_path / "data"], GEOMETRY)
    expected = sum(int(library.frames(video.name).sum()) for video in library.videos)
    assert [process.communicate(timeout=60)[0] for process in processes] == [f"{expected}\n"] * 3
    assert len(list(own_cache.iterdir())) == 12


def test_where_and_how_large(
    tmp_path: Path, make_video: MakeVideo, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (cache_folder(), cache_size()) == (own_cache, 0)
    index([make_video(tmp_path / "v", "lossless", count=6)], GEOMETRY)
    assert 6 * 32 * 40 * 3 < cache_size() < 6 * 32 * 40 * 3 + 2000
    monkeypatch.delenv("CONVLSTM_CACHE")
    assert cache_folder().name == "convlstm"
