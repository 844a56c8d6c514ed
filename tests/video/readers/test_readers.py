"""The registry of readers, and the paths that none of them can open."""

import os
from pathlib import Path

import pytest
from video_helpers import MakeVideo

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import READERS, open_video, reader_of, source_files, video_suffixes


def test_no_two_readers_claim_a_suffix() -> None:
    suffixes = [suffix for reader in READERS.values() for suffix in reader.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


@pytest.mark.parametrize(("name", "kind"), [("npy", "array"), ("webm", "file"), ("png", "images")])
def test_a_video_is_of_the_kind_of_its_reader(tmp_path: Path, make_video: MakeVideo, name: str, kind: str) -> None:
    path = make_video(tmp_path / "a", name)
    assert reader_of(path) is READERS[kind]
    with open_video(path) as video:
        assert video.kind == kind


def test_a_search_finds_files_that_are_videos_and_no_single_frames() -> None:
    assert {".mp4", ".npy", ".gif"} < video_suffixes()
    assert not {".png", ".tif"} & video_suffixes()


def test_the_files_of_a_video_are_its_images_or_itself(tmp_path: Path, make_video: MakeVideo) -> None:
    folder, file = make_video(tmp_path / "images", "png", count=2), make_video(tmp_path / "a", "webm")
    (folder / "notes.txt").write_text("x")
    assert [path.name for path in source_files(folder)] == ["frame_000001.png", "frame_000002.png"]
    assert source_files(file) == [file]


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.npy", "a"])
def test_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"a.* is not there"):
        open_video(tmp_path / name)


def test_a_path_that_may_be_meant_is_named(tmp_path: Path) -> None:
    (tmp_path / "my radar.npy").touch()
    with pytest.raises(InputError, match=r"is not there; did you mean '.*/my radar\.npy'\?"):
        open_video(tmp_path / "my_radar.npy")


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.npy"])
def test_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="is empty"):
        open_video(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.npy", "a.gif", "a.txt"])
def test_text_under_another_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("These are words, not frames.\n" * 50)
    with pytest.raises(InputError, match=name):
        open_video(tmp_path / name)


def test_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match=r"a\.mp4: is a link to .*gone\.mp4"):
        open_video(tmp_path / "a.mp4")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a", "webm")
    path.chmod(0)
    with pytest.raises(InputError, match="permissions"):
        open_video(path)


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="holds no images"):
        open_video(tmp_path)
