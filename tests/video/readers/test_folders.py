from pathlib import Path

import numpy as np
import pytest
from video_helpers import read, write_image

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import open_video, source_files
from convlstm_cli.video.readers.folders import is_pattern


def shade(folder: Path, names: list[str]) -> None:
    """Writes images, each brighter than the one before."""
    for value, name in enumerate(names):
        write_image(folder / name, np.full((20, 24), value, np.uint8))


def shades(path: Path) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in read(path)]


def test_a_folder_of_several_sequences_is_opened_by_pattern(tmp_path: Path) -> None:
    shade(tmp_path, [f"seq{video}_f{number}.png" for video in (0, 1) for number in range(12)])
    with pytest.raises(InputError, match=r"(?s)2 sequences.*seq0_f\*\.png.*seq1_f\*\.png"):
        open_video(tmp_path)
    assert shades(tmp_path / "seq1_f*.png") == list(range(12, 24))
    assert [path.name for path in source_files(tmp_path / "seq0_f*.png")][:3] == [
        "seq0_f0.png",
        "seq0_f1.png",
        "seq0_f2.png",
    ]


def test_a_pattern_of_the_users_makes_one_video(tmp_path: Path) -> None:
    shade(tmp_path, [f"seq{video}_f{number}.png" for video in (0, 1) for number in range(12)])
    assert shades(tmp_path / "*.png") == list(range(24))
    assert shades(tmp_path / "seq?_f1?.png") == [10, 11, 22, 23]


def test_a_pattern_reads_what_is_left_out(tmp_path: Path) -> None:
    shade(tmp_path, [f"f{number:02d}{tail}.png" for tail in ("", "_mask") for number in range(12)])
    assert shades(tmp_path) == list(range(12))
    assert shades(tmp_path / "f*_mask.png") == list(range(12, 24))


def test_a_pattern_that_nothing_matches_is_an_error(tmp_path: Path) -> None:
    shade(tmp_path, ["f1.png", "f2.png"])
    with pytest.raises(InputError, match=r"g\*\.png: no image of the folder matches"):
        open_video(tmp_path / "g*.png")


def test_a_file_called_like_a_pattern_comes_first(tmp_path: Path) -> None:
    shade(tmp_path, ["f*.png", "f1.png", "f2.png"])
    assert not is_pattern(tmp_path / "f*.png")
    assert shades(tmp_path / "f*.png") == [0]


def test_brackets_are_no_wildcards(tmp_path: Path) -> None:
    shade(tmp_path, [f"[ab]{number}.png" for number in range(3)] + [f"a{number}.png" for number in range(3)])
    assert shades(tmp_path / "[ab]*.png") == [0, 1, 2]


def test_dates_of_names_are_the_times_of_frames(tmp_path: Path) -> None:
    shade(tmp_path, [f"radar_20240101_{hour:02d}{minute:02d}.png" for hour in (23,) for minute in (0, 10, 50)])
    with open_video(tmp_path) as video:
        assert str(video.start) == "2024-01-01 23:00:00"
        assert [video.time for _ in video] == [0.0, 600.0, 3000.0]


def test_a_new_image_is_noticed(tmp_path: Path) -> None:
    shade(tmp_path, ["f1.png", "f2.png"])
    assert len(source_files(tmp_path)) == 2
    shade(tmp_path, ["f3.png"])
    assert len(source_files(tmp_path)) == 3


def test_a_folder_with_pictures_of_videos_alone_holds_none(tmp_path: Path) -> None:
    shade(tmp_path, ["v1.jpg", "v2.jpg"])
    (tmp_path / "v1.mp4").touch()
    (tmp_path / "v2.mp4").touch()
    with pytest.raises(InputError, match="pictures of the videos"):
        open_video(tmp_path)
