from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from video_helpers import VIDEO_FORMATS, MakeFrames, clips, few, read, write

from convlstm_cli.errors import OutputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.opencv import cv2


@few
@given(clips(even=True))
def test_lossless_video_comes_back(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    path = write(tmp_path_factory.mktemp("lossless") / "a", "lossless", frames)
    np.testing.assert_array_equal(read(path), np.broadcast_to(frames, (*np.shape(frames)[:3], 3)))


@few
@given(clips())
def test_odd_sides_gain_a_copy_of_their_edge(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    decoded = np.array(read(write(tmp_path_factory.mktemp("odd") / "a", "lossless", frames)))
    _, height, width, _ = np.shape(frames)
    assert decoded.shape == (len(frames), height + height % 2, width + width % 2, 3)
    np.testing.assert_array_equal(decoded[:, :height, :width], np.broadcast_to(frames, (len(frames), height, width, 3)))
    np.testing.assert_array_equal(decoded[:, -1], decoded[:, height - 1])
    np.testing.assert_array_equal(decoded[:, :, -1], decoded[:, :, width - 1])


@pytest.mark.parametrize("kind", VIDEO_FORMATS)
def test_an_encoder_that_is_missing_comes_with_a_choice(
    tmp_path: Path, make_frames: MakeFrames, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(OUTPUT_FORMATS[kind].load_writer(), "codec", "XXXX")
    with pytest.raises(OutputError, match="choose --format png"):
        write(tmp_path / "a", kind, make_frames(1))


@pytest.mark.parametrize("kind", VIDEO_FORMATS)
def test_a_video_that_lost_frames_is_not_kept(
    tmp_path: Path, make_frames: MakeFrames, monkeypatch: pytest.MonkeyPatch, kind: str
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
