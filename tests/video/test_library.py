import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_helpers import MakeFrames, MakeVideo

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import to_channels
from convlstm_cli.video.config import Pace
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import index

GEOMETRY = FrameGeometry(32, 40)


def test_what_is_in_a_library(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    make_video(tmp_path / "data" / "colour", "lossless", count=7)
    make_video(tmp_path / "data" / "grey", "png", count=5, channels=1, seed=1)
    progress: list[tuple[str, int, int]] = []
    library = index([tmp_path / "data"], GEOMETRY, on_progress=lambda *done: progress.append(done))
    colour, grey = library.videos
    assert (colour.name, colour.frames, colour.source_height, colour.source_width) == ("colour.mkv", 7, 48, 64)
    assert (colour.channels, grey.fps, grey.channels) == (3, None, 1)
    assert colour.fps == pytest.approx(10)
    assert library.channels == 3
    assert library.problems == ()
    assert progress == [("colour.mkv", 1, 2), ("grey", 2, 2)]
    for video, frames in ((colour, make_frames(7)), (grey, make_frames(5, channels=1, seed=1))):
        expected = [GEOMETRY.fit_frame(frame) for frame in frames]
        np.testing.assert_array_equal(library.frames(video.name), expected)


def test_a_tinted_grey_video_is_stored_as_grey(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    tinted = [
        np.minimum(to_channels(frame, 3), 240) + np.array([0, 5, 10], np.uint8) for frame in make_frames(4, channels=1)
    ]
    make_video(tmp_path / "data" / "v", "lossless", tinted)
    library = index([tmp_path / "data"], GEOMETRY)
    assert library.channels == 1
    assert library.frames("v.mkv").shape == (4, 32, 40, 1)


def test_one_colour_frame_makes_a_colour_video(tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo) -> None:
    frames = [to_channels(frame, 3).copy() for frame in make_frames(4, channels=1)]
    frames[1][:, :, 0] = 255
    make_video(tmp_path / "data" / "v", "lossless", frames)
    library = index([tmp_path / "data"], GEOMETRY)
    assert library.channels == 3
    np.testing.assert_array_equal(library.frames("v.mkv"), [GEOMETRY.fit_frame(frame) for frame in frames])


def test_videos_of_different_numbers_of_channels_are_named_by_number(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((5, 6, 40, 40, 2))
    for video, (name, channels) in zip(frames, (("a", 2), ("b10", 1), ("b9", 1), ("b8", 1), ("b7", 1)), strict=True):
        np.save(tmp_path / f"{name}.npy", video[..., :channels])
    library = index([tmp_path], GEOMETRY)
    said = (
        r"1 in 4 videos \(b7.npy, b8.npy, b9.npy and 1 more\); 2 in 1 video \(a.npy\)\. Give videos of one number, or"
    )
    with pytest.raises(InputError, match=said):
        _ = library.channels


def test_problems_do_not_stop_the_rest(tmp_path: Path, make_video: MakeVideo) -> None:
    data = tmp_path / "data"
    make_video(data / "good", "lossless", count=6)
    make_video(data / "same", "png", count=6)
    make_video(data / "short", "webm", count=3, seed=1)
    (data / "text.mp4").write_text("not a video")
    (data / "link.mp4").symlink_to(data / "gone.mp4")
    library = index([data], GEOMETRY, min_frames=5)
    assert [video.name for video in library.videos] == ["good.mkv"]
    reasons = {problem.path.name: problem.reason for problem in library.problems}
    assert reasons["same"] == "shows the same frames as good.mkv."
    assert "3 of the 5 frames" in reasons["short.webm"]
    assert reasons["text.mp4"].startswith("is text")
    assert "is a link" in reasons["link.mp4"]
    assert len(reasons) == 4


def test_a_video_without_a_value_is_no_video(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((6, 8, 8), np.float32)
    np.save(tmp_path / "empty.npy", np.full_like(frames, np.nan))
    frames[:5] = np.nan
    np.save(tmp_path / "late.npy", frames)
    library = index([tmp_path], FrameGeometry(16, 16), cache_dir=tmp_path / "cache")
    assert [video.name for video in library.videos] == ["late.npy"]
    [problem] = library.problems
    assert (problem.path.name, problem.reason[:12]) == ("empty.npy", "has no value")


def test_a_video_without_a_value_whose_range_is_known_is_no_video(tmp_path: Path) -> None:
    for name, value in (("dry", 255), ("wet", 7)):
        np.save(tmp_path / f"{name}.npy", np.full((6, 40, 40), value, np.uint8))
    library = index([tmp_path], GEOMETRY, missing=255.0)
    assert [video.name for video in library.videos] == ["wet.npy"]
    assert [problem.path.name for problem in library.problems] == ["dry.npy"]


def test_nothing_usable_lists_the_first_problems(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number}.mp4").write_text("x")
    with pytest.raises(InputError, match=r"(?s)0\.mp4: .*1\.mp4: .*2\.mp4: .*and 5 more"):
        index([tmp_path], GEOMETRY)


def test_no_video_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no videos"):
        index([tmp_path], GEOMETRY)


def test_a_library_can_go_to_another_process(tmp_path: Path, make_video: MakeVideo) -> None:
    library = index([make_video(tmp_path / "v", "webm")], GEOMETRY)
    copied = pickle.loads(pickle.dumps(library))
    np.testing.assert_array_equal(copied.frames("v.webm"), library.frames("v.webm"))


def test_missing_numbers_of_images_cut_their_video(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (44, 16, 16), dtype=np.uint8)
    for number in (*range(20), *range(24, 44)):
        cv2.imwrite(str(tmp_path / f"f{number:03d}.png"), frames[number])
    geometry = FrameGeometry(16, 16)
    (video,) = index([tmp_path], geometry, cache_dir=tmp_path / "cache", min_frames=6).videos
    assert video.pieces == ((0, 20), (20, 40))
    assert "--max-gap 5 goes on" in video.notes[0]
    wide = index([tmp_path], geometry, cache_dir=tmp_path / "cache", min_frames=6, pace=Pace(max_gap=5))
    assert wide.videos[0].pieces == ((0, 40),)
