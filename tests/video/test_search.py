import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from video_helpers import MakeVideo

from convlstm_cli.errors import InputError
from convlstm_cli.video.search import Note, aggregated, find_videos


def found(paths: Sequence[str | Path]) -> list[tuple[str, Path]]:
    return [(video.name, video.path) for video in find_videos(paths).videos]


def test_names_are_relative_natural_and_without_the_rest(tmp_path: Path) -> None:
    files = ["b/2.mp4", "b/10.mp4", "b/c/x.NPY", "a.webm", ".hidden.mp4", ".git/y.mp4", "notes.txt", "one.png"]
    for name in (*files, "frames/f1.png", "frames/f2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    videos = found([tmp_path])
    assert [name for name, _ in videos] == ["a.webm", "b/2.mp4", "b/10.mp4", "b/c/x.NPY", "frames"]
    assert all(tmp_path / name == path for name, path in videos)


def test_one_video_by_its_own_path(tmp_path: Path, make_video: MakeVideo) -> None:
    video = make_video(tmp_path / "v", "webm")
    images = make_video(tmp_path / "images", "png")
    assert found([video]) == [("v.webm", video)]
    assert found([str(images)]) == [("images", images)]
    assert found([images / "frame_000001.png"]) == [("frame_000001.png", images / "frame_000001.png")]


def test_several_folders_keep_their_names_apart(tmp_path: Path) -> None:
    for folder in ("x/data", "y/data", "z"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "v.mp4").touch()
    videos = found([tmp_path / "x" / "data", tmp_path / "y" / "data", tmp_path / "z", tmp_path / "z"])
    assert [name for name, _ in videos] == ["data/v.mp4", "data/v.mp4-2", "z/v.mp4"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert [name for name, _ in found([tmp_path])] == ["v.mp4"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: is not there"):
        found([tmp_path / "gone"])


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_of_two_sequences_is_two_videos_and_says_so(tmp_path: Path) -> None:
    touch(tmp_path, *(f"data/{side}_{number}.png" for side in ("left", "right") for number in range(12)))
    search = find_videos([tmp_path])
    folder = tmp_path / "data"
    assert [video.path for video in search.videos] == [folder / "left_*.png", folder / "right_*.png"]
    assert [video.name for video in search.videos] == ["data/left_*.png", "data/right_*.png"]
    (note,) = search.notes
    assert note.path == folder
    assert "2 videos" in note.text
    assert "left_*.png, right_*.png" in note.text


def test_a_pattern_names_one_video(tmp_path: Path) -> None:
    touch(tmp_path, *(f"left_{number}.png" for number in range(12)))
    pattern = tmp_path / "left_1*.png"
    assert found([pattern]) == [("left_1*.png", pattern)]
    with pytest.raises(InputError, match=r"no image of the folder matches"):
        found([tmp_path / "up_*.png"])


def test_what_is_left_out_is_said_in_one_line(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{video}/f{number}{tail}.png" for video in "ab" for number in range(9) for tail in ("", "_mask"))
    )
    search = find_videos([tmp_path])
    assert [video.name for video in search.videos] == ["a", "b"]
    assert [note.path.name for note in search.notes] == ["a", "b"]
    assert all("9 images (f*_mask.png), masks" in note.text for note in search.notes)


def test_equal_notes_are_one_line() -> None:
    notes = [Note(Path(name), "leaves out much") for name in ("a", "b", "c")] + [Note(Path("d"), "is odd")]
    assert aggregated(notes) == ["a and 2 more: leaves out much", "d: is odd"]


def test_folders_of_masks_beside_folders_of_frames_are_left_out(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{folder}/{number:03d}.png" for folder in ("images/a", "masks/a", "depth") for number in range(9))
    )
    touch(tmp_path, *(f"01/t{number:03d}.tif" for number in range(9)))
    touch(tmp_path, *(f"01_GT/TRA/man_track{number:03d}.tif" for number in range(9)))
    search = find_videos([tmp_path])
    assert [video.name for video in search.videos] == ["01", "depth", "images/a"]
    assert sorted(note.path.relative_to(tmp_path).as_posix() for note in search.notes) == ["01_GT/TRA", "masks/a"]
    assert [name for name, _ in found([tmp_path / "masks"])] == ["a"]


def test_masks_alone_are_videos(tmp_path: Path) -> None:
    touch(tmp_path, *(f"masks/{number:03d}.png" for number in range(9)), *(f"x/{number}.png" for number in (77, 78)))
    assert [name for name, _ in found([tmp_path])] == ["masks", "x"]


def test_stacks_are_a_video_each(tmp_path: Path) -> None:
    stack = [Image.new("L", (24, 20), value) for value in range(5)]
    for number in range(3):
        stack[0].save(tmp_path / f"movie_{number}.tif", save_all=True, append_images=stack[1:])
        stack[0].save(tmp_path / f"movie_{number}.png")
    search = find_videos([tmp_path])
    assert [video.name for video in search.videos] == ["movie_0.tif", "movie_1.tif", "movie_2.tif"]
    assert "pictures of the videos" in search.notes[0].text


def test_a_folder_of_many_images_is_searched_quickly(tmp_path: Path) -> None:
    image = tmp_path / "f0.tif"
    Image.new("L", (16, 16)).save(image)
    for number in range(1, 2000):
        (tmp_path / f"f{number}.tif").hardlink_to(image)
    begin = time.perf_counter()
    assert [name for name, _ in found([tmp_path])] == [tmp_path.name]
    assert time.perf_counter() - begin < 4  # a fifth of what 10,000 images may take, and twenty times what they do
