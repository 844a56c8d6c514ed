import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convlstm_cli.errors import InputError
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.reader import cut_off, is_image_sequence, list_images, open_video


def read(path: Path) -> list[np.ndarray]:
    with open_video(path) as video:
        return list(video)


def write_image(path: Path, pixels: np.ndarray) -> Path:
    """Through Pillow, so that a mistake of ours in the order of channels cannot cancel itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


class TestFiles:
    @pytest.mark.parametrize("kind", ["webm", "mp4", "lossless", "gif"])
    def test_frames_arrive_in_order_and_as_rgb(self, tmp_path: Path, make_frames, make_video, kind: str) -> None:
        frames = make_frames(8)
        with open_video(make_video(tmp_path / "a", kind, frames)) as video:
            assert (video.kind, video.height, video.width, video.fps) == ("file", 48, 64, pytest.approx(10))
            decoded = list(video)
        assert len(decoded) == 8
        for frame, expected in zip(decoded, frames, strict=True):
            assert (frame.shape, frame.dtype) == ((48, 64, 3), np.uint8)
            assert np.abs(frame.astype(float) - expected).mean() < 6

    def test_a_truncated_file_gives_the_frames_that_decode(self, tmp_path: Path, make_video) -> None:
        whole = make_video(tmp_path / "whole", "lossless", count=40)
        cut = tmp_path / "cut.mkv"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        frames = read(cut)
        assert 1 <= len(frames) < 40
        for frame, expected in zip(frames[:-1], read(whole), strict=False):
            np.testing.assert_array_equal(frame, expected)

    def test_a_declared_number_of_frames_is_not_believed(self, tmp_path: Path, make_frames) -> None:
        path = tmp_path / "a.avi"
        video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        for frame in make_frames(6):
            video.write(frame)
        video.release()
        content = bytearray(path.read_bytes())
        length = content.index(b"strh") + 8 + 32  # dwLength of the stream's header
        assert int.from_bytes(content[length : length + 4], "little") == 6
        content[length : length + 4] = (1000).to_bytes(4, "little")
        path.write_bytes(content)
        with open_video(path) as video:
            assert video.declared_frames == 1000
            assert len(list(video)) == 6

    def test_a_png_named_as_a_video_has_one_frame(self, tmp_path: Path, make_frames) -> None:
        (frame,) = make_frames(1)
        path = write_image(tmp_path / "a.png", frame).rename(tmp_path / "a.mp4")
        with open_video(path) as video:
            assert video.declared_frames is None
            np.testing.assert_array_equal(list(video), [frame])

    def test_a_file_that_opens_and_gives_no_frame(self, tmp_path: Path, make_frames) -> None:
        path = tmp_path / "animated.mp4"
        first, *others = map(Image.fromarray, make_frames(3))
        first.save(path, format="WEBP", save_all=True, append_images=others)
        with pytest.raises(InputError, match=r"animated\.mp4: .*ffmpeg"):
            open_video(path)

    def test_memory_does_not_grow_with_the_length(self, tmp_path: Path, make_video) -> None:
        pytest.importorskip("resource")
        frames = [np.zeros((360, 480, 3), np.uint8)]
        paths = [make_video(tmp_path / str(count), "lossless", frames * count) for count in (20, 220)]
        code = (
            "import sys, resource\nfrom convlstm_cli.video.reader import open_video\n"
            "with open_video(sys.argv[1]) as video: count = sum(1 for _ in video)\n"
            "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        peaks = []
        for path, count in zip(paths, (20, 220), strict=True):
            done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
            frames_read, peak = map(int, done.stdout.split())
            assert frames_read == count
            peaks.append(peak / (1 if sys.platform == "darwin" else 1 / 1024))
        assert peaks[1] - peaks[0] < 30e6  # the 200 frames between them take 104 MB

    def test_a_size_that_changes_is_refused(self, tmp_path: Path, make_video, monkeypatch: pytest.MonkeyPatch) -> None:
        """FFmpeg's backend scales such frames to the first; others give them as they are."""
        path = make_video(tmp_path / "a", "webm")

        class Changing:
            sizes = iter([(48, 64), (48, 64), (32, 64)])

            def __init__(self, *_: object) -> None: ...
            def isOpened(self) -> bool:
                return True

            def get(self, _: int) -> float:
                return 10.0

            def read(self) -> tuple[bool, np.ndarray]:
                return True, np.zeros((*next(self.sizes), 3), np.uint8)

            def release(self) -> None: ...

        monkeypatch.setattr(cv2, "VideoCapture", Changing)
        with pytest.raises(InputError, match=r"a\.webm: changes from 48x64 to 32x64 pixels at frame 3"):
            read(path)

    @pytest.mark.parametrize(
        ("decoded", "declared", "told"), [(9, 10, False), (8, 10, True), (5, None, False), (12, 10, False)]
    )
    def test_far_fewer_frames_than_declared(self, decoded: int, declared: int | None, told: bool) -> None:
        assert (cut_off(decoded, declared) is not None) == told


class TestBadPaths:
    @pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.npy", "a"])
    def test_missing(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=r"a.* is not there"):
            open_video(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.npy"])
    def test_empty(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        with pytest.raises(InputError, match="is empty"):
            open_video(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.npy", "a.gif", "a.txt"])
    def test_text_under_another_name(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("These are words, not frames.\n" * 50)
        with pytest.raises(InputError, match=name):
            open_video(tmp_path / name)

    def test_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
        with pytest.raises(InputError, match=r"a\.mp4: is a link to .*gone\.mp4"):
            open_video(tmp_path / "a.mp4")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, tmp_path: Path, make_video) -> None:
        path = make_video(tmp_path / "a", "webm")
        path.chmod(0)
        with pytest.raises(InputError, match="permissions"):
            open_video(path)

    def test_folder_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(InputError, match="holds no images"):
            open_video(tmp_path)


class TestImages:
    @given(st.lists(st.integers(0, 10**6), min_size=2, unique=True))
    def test_natural_order(self, tmp_path_factory: pytest.TempPathFactory, numbers: list[int]) -> None:
        folder = tmp_path_factory.mktemp("images")
        for number in numbers:
            (folder / f"frame{number}.png").touch()
        assert [path.name for path in list_images(folder)] == [f"frame{number}.png" for number in sorted(numbers)]

    def test_frames_keep_their_order_channels_and_values(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        frames = {number: random.integers(0, 256, (17, 23, 3), np.uint8) for number in (10, 9, 100, 1)}
        for number, frame in frames.items():
            write_image(tmp_path / f"f{number}.png", frame)
        (tmp_path / ".hidden.png").write_text("x")
        (tmp_path / "notes.txt").write_text("x")
        with open_video(tmp_path) as video:
            assert (video.kind, video.fps, video.declared_frames) == ("images", None, 4)
            np.testing.assert_array_equal(list(video), [frames[number] for number in (1, 9, 10, 100)])

    def test_grey_stays_one_channel(self, tmp_path: Path) -> None:
        grey = np.random.default_rng(0).integers(0, 256, (17, 23), np.uint8)
        (frame,) = read(write_image(tmp_path / "a.png", grey))
        np.testing.assert_array_equal(frame, grey[..., None])

    def test_sixteen_bits_are_scaled(self, tmp_path: Path) -> None:
        deep = np.array([[0, 257 * 3], [257 * 200, 65535]], np.uint16)
        (frame,) = read(write_image(tmp_path / "a.png", deep))
        np.testing.assert_array_equal(frame[..., 0], [[0, 3], [200, 255]])

    def test_alpha_is_dropped(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (17, 23, 4), np.uint8)
        (frame,) = read(write_image(tmp_path / "a.png", pixels))
        np.testing.assert_array_equal(frame, pixels[..., :3])

    def test_another_size_is_named(self, tmp_path: Path) -> None:
        write_image(tmp_path / "f1.png", np.zeros((20, 30), np.uint8))
        write_image(tmp_path / "f2.png", np.zeros((20, 31), np.uint8))
        with pytest.raises(InputError, match=r"f2\.png: is 20x31 .* f1\.png is 20x30"):
            read(tmp_path)

    def test_a_damaged_image_is_named(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        for number in range(3):
            path = write_image(tmp_path / f"f{number}.png", random.integers(0, 256, (32, 32), np.uint8))
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(InputError, match=r"f2\.png: is damaged"):
            read(tmp_path)

    def test_several_pages_are_not_taken_for_one_frame(self, tmp_path: Path) -> None:
        pages = [Image.fromarray(np.full((20, 20), value, np.uint8)) for value in (0, 99)]
        pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
        with pytest.raises(InputError, match="holds 2 images"):
            open_video(tmp_path / "stack.tif")

    def test_one_image_is_no_sequence(self, tmp_path: Path) -> None:
        write_image(tmp_path / "f1.png", np.zeros((20, 30), np.uint8))
        assert not is_image_sequence(tmp_path)
        write_image(tmp_path / "f2.png", np.zeros((20, 30), np.uint8))
        assert is_image_sequence(tmp_path)


class TestArrays:
    @pytest.mark.parametrize("shape", [(3, 5, 7), (3, 5, 7, 1), (3, 5, 7, 3), (3, 5, 7, 4)])
    def test_shapes(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        np.save(tmp_path / "a.npy", array)
        with open_video(tmp_path / "a.npy") as video:
            assert (video.kind, video.declared_frames, video.fps) == ("array", 3, None)
            frames = list(video)
        expected = array[..., None] if array.ndim == 3 else array[..., :3]
        np.testing.assert_array_equal(frames, expected)

    def test_fortran_order(self, tmp_path: Path) -> None:
        array = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
        np.save(tmp_path / "a.npy", np.asfortranarray(array))
        np.testing.assert_array_equal(read(tmp_path / "a.npy"), array[..., None])

    def test_floats_are_checked_frame_by_frame(self, tmp_path: Path) -> None:
        array = np.full((4, 5, 7), 0.2, np.float32)
        array[2, 1, 1] = math.nan
        np.save(tmp_path / "a.npy", array)
        with open_video(tmp_path / "a.npy") as video:
            assert [next(video)[0, 0, 0], next(video)[0, 0, 0]] == [51, 51]
            with pytest.raises(InputError, match=r"a\.npy: frame 3: .*NaN"):
                next(video)

    @pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7, 2), (0, 5, 7), (3, 0, 7), (2, 3, 5, 7, 3)])
    def test_other_shapes_are_refused(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        with pytest.raises(InputError, match=r"a\.npy"):
            open_video(tmp_path / "a.npy")

    def test_a_header_that_claims_too_much(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npy"
        np.save(path, np.zeros((30, 5, 7), np.uint8))
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match="damaged"):
            open_video(path)

    def test_no_pickle_is_loaded(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match=r"a\.npy"):
            open_video(tmp_path / "a.npy")


def test_closing_ends_the_frames(tmp_path: Path, make_video) -> None:
    with open_video(make_video(tmp_path / "a", "webm")) as video:
        pass
    assert list(video) == []
