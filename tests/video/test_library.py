import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.errors import InputError, OutputError
from convlstm_cli.files import cache_folder, cache_size
from convlstm_cli.video import cache
from convlstm_cli.video.colour import to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import find_videos, index
from convlstm_cli.video.reader import open_video

GEOMETRY = FrameGeometry(32, 40)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were opened for decoding."""
    names: list[str] = []

    def spy(path: Path):
        names.append(path.name)
        return open_video(path)

    monkeypatch.setattr(cache, "open_video", spy)
    return names


class TestFind:
    def test_names_are_relative_natural_and_without_the_rest(self, tmp_path: Path) -> None:
        files = ["b/2.mp4", "b/10.mp4", "b/c/x.NPY", "a.webm", ".hidden.mp4", ".git/y.mp4", "notes.txt", "one.png"]
        for name in (*files, "frames/f1.png", "frames/f2.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        found = find_videos([tmp_path])
        assert [name for name, _ in found] == ["a.webm", "b/2.mp4", "b/10.mp4", "b/c/x.NPY", "frames"]
        assert all(tmp_path / name == path for name, path in found)

    def test_one_video_by_its_own_path(self, tmp_path: Path, make_video) -> None:
        video = make_video(tmp_path / "v", "webm")
        images = make_video(tmp_path / "images", "png")
        assert find_videos([video]) == [("v.webm", video)]
        assert find_videos([str(images)]) == [("images", images)]
        assert find_videos([images / "frame_000001.png"]) == [("frame_000001.png", images / "frame_000001.png")]

    def test_several_folders_keep_their_names_apart(self, tmp_path: Path) -> None:
        for folder in ("x/data", "y/data", "z"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "v.mp4").touch()
        found = find_videos([tmp_path / "x" / "data", tmp_path / "y" / "data", tmp_path / "z", tmp_path / "z"])
        assert [name for name, _ in found] == ["data/v.mp4", "data/v.mp4-2", "z/v.mp4"]

    def test_links_in_a_circle_end(self, tmp_path: Path) -> None:
        (tmp_path / "v.mp4").touch()
        (tmp_path / "again").symlink_to(tmp_path)
        assert [name for name, _ in find_videos([tmp_path])] == ["v.mp4"]

    def test_a_missing_folder_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="gone: is not there"):
            find_videos([tmp_path / "gone"])


class TestIndex:
    def test_what_is_in_a_library(self, tmp_path: Path, make_frames, make_video) -> None:
        make_video(tmp_path / "data" / "colour", "lossless", count=7)
        make_video(tmp_path / "data" / "grey", "png", count=5, channels=1, seed=1)
        progress: list[tuple[str, int, int]] = []
        library = index([tmp_path / "data"], GEOMETRY, on_progress=lambda *done: progress.append(done))
        colour, grey = library.videos
        assert (colour.name, colour.frames, colour.source_height, colour.source_width) == ("colour.mkv", 7, 48, 64)
        assert (colour.fps, colour.grey, grey.fps, grey.grey) == (pytest.approx(10), False, None, True)
        assert library.channels == 3
        assert library.problems == ()
        assert progress == [("colour.mkv", 1, 2), ("grey", 2, 2)]
        for video, frames in ((colour, make_frames(7)), (grey, make_frames(5, channels=1, seed=1))):
            expected = [GEOMETRY.fit_frame(frame) for frame in frames]
            np.testing.assert_array_equal(library.frames(video.name), expected)

    def test_a_tinted_grey_video_is_stored_as_grey(self, tmp_path: Path, make_frames, make_video) -> None:
        tinted = [
            np.minimum(to_channels(frame, 3), 240) + np.array([0, 5, 10], np.uint8)
            for frame in make_frames(4, channels=1)
        ]
        make_video(tmp_path / "data" / "v", "lossless", tinted)
        library = index([tmp_path / "data"], GEOMETRY)
        assert library.channels == 1
        assert library.frames("v.mkv").shape == (4, 32, 40, 1)

    def test_one_colour_frame_makes_a_colour_video(self, tmp_path: Path, make_frames, make_video) -> None:
        frames = [to_channels(frame, 3).copy() for frame in make_frames(4, channels=1)]
        frames[1][:, :, 0] = 255
        make_video(tmp_path / "data" / "v", "lossless", frames)
        library = index([tmp_path / "data"], GEOMETRY)
        assert library.channels == 3
        np.testing.assert_array_equal(library.frames("v.mkv"), [GEOMETRY.fit_frame(frame) for frame in frames])

    def test_problems_do_not_stop_the_rest(self, tmp_path: Path, make_video) -> None:
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
        assert reasons["text.mp4"].startswith("is damaged or not a video")
        assert "is a link" in reasons["link.mp4"]
        assert len(reasons) == 4

    def test_nothing_usable_lists_the_first_problems(self, tmp_path: Path) -> None:
        for number in range(25):
            (tmp_path / f"{number}.mp4").write_text("x")
        with pytest.raises(InputError, match=r"(?s)0\.mp4: .*1\.mp4: .*2\.mp4: .*and 5 more"):
            index([tmp_path], GEOMETRY)

    def test_no_video_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no videos"):
            index([tmp_path], GEOMETRY)

    def test_a_library_can_go_to_another_process(self, tmp_path: Path, make_video) -> None:
        library = index([make_video(tmp_path / "v", "webm")], GEOMETRY)
        copied = pickle.loads(pickle.dumps(library))
        np.testing.assert_array_equal(copied.frames("v.webm"), library.frames("v.webm"))


class TestCache:
    def test_a_video_is_decoded_once(self, tmp_path: Path, make_video, decoded: list[str]) -> None:
        make_video(tmp_path / "data" / "v", "webm")
        first = index([tmp_path / "data"], GEOMETRY)
        assert decoded == ["v.webm"]
        assert index([tmp_path / "data"], GEOMETRY) == first
        assert decoded == ["v.webm"]
        index([tmp_path / "data"], FrameGeometry(32, 40, "crop"))
        assert decoded == ["v.webm"] * 2

    def test_a_changed_file_is_decoded_again_into_its_entry(
        self, tmp_path: Path, make_video, decoded: list[str], own_cache: Path
    ) -> None:
        path = make_video(tmp_path / "v", "lossless", count=4)
        index([path], GEOMETRY)
        make_video(tmp_path / "v", "lossless", count=6, seed=1)
        assert index([path], GEOMETRY).videos[0].frames == 6
        assert len(decoded) == 2
        assert len(list(own_cache.iterdir())) == 2

    def test_a_changed_image_in_a_folder_is_noticed(self, tmp_path: Path, make_video, decoded: list[str]) -> None:
        folder = make_video(tmp_path / "v", "png", count=4)
        before = index([folder], GEOMETRY).frames("v")[2].copy()
        shutil.copyfile(folder / "frame_000001.png", folder / "frame_000003.png")
        after = index([folder], GEOMETRY).frames("v")
        assert len(decoded) == 2
        assert (after[2] != before).any()
        np.testing.assert_array_equal(after[2], after[0])

    def test_a_touched_file_is_noticed(self, tmp_path: Path, make_video, decoded: list[str]) -> None:
        path = make_video(tmp_path / "v", "webm")
        index([path], GEOMETRY)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1000))
        index([path], GEOMETRY)
        assert len(decoded) == 2

    @pytest.mark.parametrize("damage", ["cut frames", "long frames", "no frames", "cut json", "other json", "no json"])
    def test_a_damaged_entry_is_made_again(
        self, tmp_path: Path, make_video, decoded: list[str], own_cache: Path, damage: str
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

    def test_a_failed_decoding_leaves_nothing(self, tmp_path: Path, make_video, own_cache: Path) -> None:
        folder = make_video(tmp_path / "v", "png", count=4)
        (folder / "frame_000003.png").write_text("x")
        with pytest.raises(InputError, match=r"frame_000003\.png"):
            index([folder], GEOMETRY)
        assert list(own_cache.iterdir()) == []

    def test_a_cache_that_cannot_be_written(self, tmp_path: Path, make_video) -> None:
        path = make_video(tmp_path / "v", "webm")
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match=r"file: .*CONVLSTM_CACHE"):
            index([path], GEOMETRY, cache_dir=tmp_path / "file")

    def test_a_cache_that_was_deleted_meanwhile(self, tmp_path: Path, make_video, own_cache: Path) -> None:
        library = index([make_video(tmp_path / "v", "webm")], GEOMETRY)
        shutil.rmtree(own_cache)
        with pytest.raises(InputError, match="is not there"):
            library.frames("v.webm")

    def test_several_processes_may_index_at_once(self, tmp_path: Path, make_video, own_cache: Path) -> None:
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
        assert len(list(own_cache.iterdir())) == 6

    def test_where_and_how_large(self, tmp_path: Path, make_video, own_cache: Path, monkeypatch) -> None:
        assert (cache_folder(), cache_size()) == (own_cache, 0)
        index([make_video(tmp_path / "v", "lossless", count=6)], GEOMETRY)
        assert 6 * 32 * 40 * 3 < cache_size() < 6 * 32 * 40 * 3 + 2000
        monkeypatch.delenv("CONVLSTM_CACHE")
        assert cache_folder().name == "convlstm"
