import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from convlstm_cli.errors import OutputError, UsageError
from convlstm_cli.video import writer as writer_module
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.reader import open_video
from convlstm_cli.video.writer import FORMATS, open_writer

VIDEO_FORMATS = ["webm", "mp4", "lossless"]
FILE_FORMATS = [*VIDEO_FORMATS, "gif", "npy"]


def write(path: Path, kind: str, frames: Iterable[np.ndarray], fps: float = 10.0) -> Path:
    target = path.with_suffix(FORMATS[kind]) if FORMATS[kind] else path
    with open_writer(target, kind, fps) as writer:
        for frame in frames:
            writer.write(frame)
    return target


def read(path: Path) -> list[np.ndarray]:
    with open_video(path) as video:
        return list(video)


@st.composite
def clips(draw: st.DrawFn, even: bool = False) -> list[np.ndarray]:
    step = 2 if even else 1
    height, width = (step * draw(st.integers(16 // step, 40 // step)) for _ in range(2))
    channels, count = draw(st.sampled_from([1, 3])), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return list(random.integers(0, 256, (count, height, width, channels), np.uint8))


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(clips())
@pytest.mark.parametrize("kind", ["png", "npy"])
def test_exact_formats_come_back(tmp_path_factory: pytest.TempPathFactory, kind: str, frames) -> None:
    path = write(tmp_path_factory.mktemp("exact") / "a", kind, frames)
    np.testing.assert_array_equal(read(path), frames)


@few
@given(clips(even=True))
def test_lossless_video_comes_back(tmp_path_factory: pytest.TempPathFactory, frames) -> None:
    path = write(tmp_path_factory.mktemp("lossless") / "a", "lossless", frames)
    np.testing.assert_array_equal(read(path), np.broadcast_to(frames, (*np.shape(frames)[:3], 3)))


@few
@given(clips())
def test_odd_sides_gain_a_copy_of_their_edge(tmp_path_factory: pytest.TempPathFactory, frames) -> None:
    decoded = np.array(read(write(tmp_path_factory.mktemp("odd") / "a", "lossless", frames)))
    _, height, width, _ = np.shape(frames)
    assert decoded.shape == (len(frames), height + height % 2, width + width % 2, 3)
    np.testing.assert_array_equal(decoded[:, :height, :width], np.broadcast_to(frames, (len(frames), height, width, 3)))
    np.testing.assert_array_equal(decoded[:, -1], decoded[:, height - 1])
    np.testing.assert_array_equal(decoded[:, :, -1], decoded[:, :, width - 1])


@few
@given(clips())
def test_grey_gif_is_exact_even_where_neighbours_are_equal(tmp_path_factory: pytest.TempPathFactory, frames) -> None:
    frames = [frame[..., :1] for frame in frames for _ in range(2)]
    decoded = read(write(tmp_path_factory.mktemp("gif") / "a", "gif", frames))
    np.testing.assert_array_equal(decoded, np.broadcast_to(frames, (*np.shape(frames)[:3], 3)))


@pytest.mark.parametrize("kind", [*VIDEO_FORMATS, "gif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (17, 200)])
def test_what_is_seen_is_what_was_written(
    tmp_path: Path, make_frames, kind: str, channels: int, size: tuple[int, int]
) -> None:
    frames = make_frames(10, *size, channels)
    decoded = read(write(tmp_path / "a", kind, frames))
    assert len(decoded) == 10
    for seen, frame in zip(decoded, frames, strict=True):
        error = np.abs(seen[: size[0], : size[1]].astype(float) - frame)
        assert error.mean() < 6, "a shift, a mirror image or swapped colours would be further off"


def test_png_files_are_numbered_from_one_and_grey_if_the_frames_are(tmp_path: Path, make_frames) -> None:
    folder = write(tmp_path / "new" / "folder", "png", make_frames(3, channels=1))
    assert sorted(path.name for path in folder.iterdir()) == [f"frame_00000{number}.png" for number in (1, 2, 3)]
    with Image.open(folder / "frame_000001.png") as image:
        assert image.mode == "L"


def test_png_does_not_mix_with_older_frames(tmp_path: Path, make_frames) -> None:
    folder = write(tmp_path / "a", "png", make_frames(3))
    with pytest.raises(OutputError, match="holds frames already"):
        write(folder, "png", make_frames(2))
    assert len(list(folder.iterdir())) == 3


def test_gif_loops_and_keeps_its_time(tmp_path: Path, make_frames) -> None:
    with Image.open(write(tmp_path / "a", "gif", make_frames(3), fps=4.0)) as image:
        assert (image.info["loop"], image.info["duration"]) == (0, 250)


@pytest.mark.parametrize("fps", [1 / 300, 12.5, 1000])
@pytest.mark.parametrize("kind", [*VIDEO_FORMATS, "gif"])
def test_any_sensible_frame_rate(tmp_path: Path, make_frames, kind: str, fps: float) -> None:
    assert len(read(write(tmp_path / "a", kind, make_frames(3), fps))) == 3


@pytest.mark.parametrize("kind", list(FORMATS))
@pytest.mark.parametrize(
    "other",
    [
        np.zeros((48, 65, 3), np.uint8),
        np.zeros((48, 64, 1), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
    ],
)
def test_an_unlike_frame_fails_at_once_and_leaves_nothing(
    tmp_path: Path, make_frames, kind: str, other: np.ndarray
) -> None:
    (first,) = make_frames(1)
    with pytest.raises(OutputError, match="got a frame"):
        write(tmp_path / "a", kind, [first, other])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", FILE_FORMATS)
def test_a_failure_leaves_the_older_file(tmp_path: Path, make_frames, kind: str) -> None:
    path = tmp_path / f"a{FORMATS[kind]}"
    path.write_text("older")

    def interrupted() -> Iterator[np.ndarray]:
        yield from make_frames(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, kind, interrupted())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "older"


@pytest.mark.parametrize("kind", list(FORMATS))
def test_no_frame_is_no_video(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OutputError, match="without a single frame"):
        write(tmp_path / "a", kind, [])


@pytest.mark.parametrize("kind", list(FORMATS))
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, make_frames, kind: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write(tmp_path / "file" / "a", kind, make_frames(1))


@pytest.mark.parametrize("kind", VIDEO_FORMATS)
def test_an_encoder_that_is_missing_comes_with_a_choice(
    tmp_path: Path, make_frames, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(writer_module._WRITERS[kind], "codec", "XXXX")
    with pytest.raises(OutputError, match="choose --format png"):
        write(tmp_path / "a", kind, make_frames(1))


@pytest.mark.parametrize("kind", VIDEO_FORMATS)
def test_a_video_that_lost_frames_is_not_kept(
    tmp_path: Path, make_frames, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    class Truncated:
        """Not a subclass of VideoCapture, which OpenCV's bindings cannot free."""

        def __init__(self, path: str) -> None:
            self.capture, self.left = capture(path), 3

        def grab(self) -> bool:
            self.left -= 1
            return self.left >= 0 and self.capture.grab()

        def __getattr__(self, name: str) -> object:
            return getattr(self.capture, name)

    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Truncated)
    with pytest.raises(OutputError, match="only 3 of 5 frames"):
        write(tmp_path / "a", kind, make_frames(5))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", list(FORMATS))
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("resource")
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from convlstm_cli.errors import OutputError
from convlstm_cli.video.writer import open_writer
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
frames = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
try:
    with open_writer(Path(sys.argv[1]), sys.argv[2], 10.0) as writer:
        for frame in frames:
            writer.write(frame)
except OutputError as error:
    print(error)
"""
    path = tmp_path / f"a{FORMATS[kind]}"
    command = [sys.executable, "-c", code, str(path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(str(path))
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []


def test_an_unknown_format_names_the_others() -> None:
    with pytest.raises(UsageError, match=r"--format.*webm"), open_writer(Path("a"), "mov", 10.0):
        pass
