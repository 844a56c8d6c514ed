import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from av_files import encode, moving_frames
from PIL import Image
from video_helpers import MakeFrames, MakeVideo, read, write_image

from convlstm_cli.errors import InputError
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.timeline import timeline_of


@pytest.mark.parametrize("kind", ["webm", "mp4", "lossless", "gif"])
def test_frames_arrive_in_order_and_as_rgb(
    tmp_path: Path, make_frames: MakeFrames, make_video: MakeVideo, kind: str
) -> None:
    frames = make_frames(8)
    with open_video(make_video(tmp_path / "a", kind, frames)) as video:
        assert (video.kind, video.height, video.width) == ("file", 48, 64)
        assert video.fps == pytest.approx(10)
        decoded = list(video)
    assert len(decoded) == 8
    for frame, expected in zip(decoded, frames, strict=True):
        assert frame.shape == (48, 64, 3)
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(float) - expected).mean() < 6


def test_a_truncated_file_gives_the_frames_that_decode(tmp_path: Path, make_video: MakeVideo) -> None:
    whole = make_video(tmp_path / "whole", "lossless", count=40)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = read(cut)
    assert 1 <= len(frames) < 40
    for frame, expected in zip(frames[:-1], read(whole), strict=False):
        np.testing.assert_array_equal(frame, expected)


def test_a_declared_number_of_frames_is_not_believed(tmp_path: Path, make_frames: MakeFrames) -> None:
    path = tmp_path / "a.avi"
    written = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for frame in make_frames(6):
        written.write(frame)
    written.release()
    content = bytearray(path.read_bytes())
    length = content.index(b"strh") + 8 + 32  # dwLength of the stream's header
    assert int.from_bytes(content[length : length + 4], "little") == 6
    content[length : length + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with open_video(path) as video:
        assert video.declared_frames == 1000
        assert len(list(video)) == 6


def test_a_png_named_as_a_video_has_one_frame(tmp_path: Path, make_frames: MakeFrames) -> None:
    (frame,) = make_frames(1)
    path = write_image(tmp_path / "a.png", frame).rename(tmp_path / "a.mp4")
    with open_video(path) as video:
        assert video.declared_frames is None
        np.testing.assert_array_equal(list(video), [frame])


def test_a_file_that_opens_and_gives_no_frame(tmp_path: Path, make_frames: MakeFrames) -> None:
    path = tmp_path / "animated.mp4"
    first, *others = map(Image.fromarray, make_frames(3))
    first.save(path, format="WEBP", save_all=True, append_images=others)
    with pytest.raises(InputError, match=r"animated\.mp4: .*ffmpeg"):
        open_video(path)


def test_memory_does_not_grow_with_the_length(tmp_path: Path, make_video: MakeVideo) -> None:
    pytest.importorskip("resource")
    frames = [np.zeros((360, 480, 3), np.uint8)]
    paths = [make_video(tmp_path / str(count), "lossless", frames * count) for count in (20, 220)]
    code = (
        "import sys, resource\nfrom convlstm_cli.video.readers import open_video\n"
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


def test_a_size_that_changes_is_refused(tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's backend scales such frames to the first; others give them as they are."""
    path = make_video(tmp_path / "a", "webm")

    class Changing:
        sizes = iter([(48, 64), (48, 64), (32, 64)])
        frames = -1

        def __init__(self, *_: object) -> None: ...
        def isOpened(self) -> bool:
            return True

        def get(self, what: int) -> float:
            return self.frames * 100.0 if what == cv2.CAP_PROP_POS_MSEC else 0.0

        def read(self) -> tuple[bool, np.ndarray]:
            self.frames += 1
            return True, np.zeros((*next(self.sizes), 3), np.uint8)

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoCapture", Changing)
    with pytest.raises(InputError, match=r"a\.webm: changes from 48x64 to 32x64 pixels at frame 3"):
        read(path)


def test_sound_that_begins_before_the_pictures_repeats_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream, sound = container.add_stream("libx264", rate=25), container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = 8000, 0
        container.mux(sound.encode(silence))
        for number, pixels in enumerate(moving_frames(12)):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = 40 * number + 23, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert len(read(path)) == 12


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "ts"), ("libvpx-vp9", "mkv"), ("mpeg2video", "mpg")])
def test_recordings_one_behind_the_other_are_read_whole_and_cut_apart(tmp_path: Path, codec: str, suffix: str) -> None:
    """Times begin again with the second."""
    one = encode(tmp_path / f"one.{suffix}", codec, moving_frames(20))
    two = encode(tmp_path / f"two.{suffix}", codec, moving_frames(20, seed=1))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    frames, times = [], []
    with open_video(path) as video:
        for frame in video:
            frames.append(frame)
            times.append(video.time)
    np.testing.assert_array_equal(frames, read(one) + read(two))
    assert timeline_of(40, np.asarray(times, float).tolist()).pieces == ((0, 20), (20, 40))


def test_a_cover_that_is_not_marked_as_one_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        cover, stream = container.add_stream("mjpeg", rate=25), container.add_stream("libx264", rate=25)
        for each, pixel_format in ((cover, "yuvj420p"), (stream, "yuv420p")):
            assert isinstance(each, VideoStream)
            each.height, each.width, each.pix_fmt = 32, 48, pixel_format
        for each, pictures in ((cover, moving_frames(1)), (stream, moving_frames(8))):
            assert isinstance(each, VideoStream)
            for pixels in pictures:
                container.mux(each.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            container.mux(each.encode())
    with open_video(path) as video:
        assert len(list(video)) == 8
        assert "it has 2 video streams, of which number 2 is taken" in video.notes
