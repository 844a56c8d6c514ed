"""OpenCV and PyAV give the same frames at the same times, wherever both can read a file."""

from pathlib import Path

import av
import numpy as np
import pytest
from av_files import encode, moving_frames

from convlstm_cli.video.readers.container import decide, probe
from convlstm_cli.video.readers.opencv_frames import opencv_frames
from convlstm_cli.video.readers.pyav_frames import pyav_frames

# Codec, container, pixel formats; 4:2:0 in H.264 and H.265 takes even sides only.
CODECS = [
    ("libx264", "mp4", ("yuv420p", "yuv444p", "gray")),
    ("libx264", "mkv", ("yuv420p",)),
    ("libx264", "ts", ("yuv420p",)),
    ("libx265", "mp4", ("yuv420p",)),
    ("libvpx-vp9", "webm", ("yuv420p", "yuv444p")),
    ("libvpx", "webm", ("yuv420p",)),
    ("mpeg4", "avi", ("yuv420p",)),
    ("mpeg2video", "ts", ("yuv420p",)),
    ("mjpeg", "avi", ("yuvj420p", "yuvj444p")),
    ("ffv1", "mkv", ("bgr0", "gray", "yuv420p")),
    ("rawvideo", "avi", ("bgr24", "yuv420p")),
    ("gif", "gif", ("rgb8", "gray")),
]
LEFT_TO_PYAV = {"gif", "mpeg4", "mpeg2video"}
"""Those that may have transparent pixels or be interlaced."""
EVEN_ONLY = {("libx264", "yuv420p"), ("libx265", "yuv420p")}


@pytest.mark.parametrize("size", [(32, 48), (32, 47)], ids=["even", "odd"])
@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format"),
    [(codec, suffix, pixel_format) for codec, suffix, formats in CODECS for pixel_format in formats],
)
def test_both_give_the_same(tmp_path: Path, codec: str, suffix: str, pixel_format: str, size: tuple[int, int]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV does not write {codec}")
    if size == (32, 47) and (codec, pixel_format) in EVEN_ONLY:
        size = (32, 46)
    options = None
    if codec == "libx265":
        size, options = (64, 96), {"x265-params": "log-level=none"}  # it breaks the heap below 64 pixels
    path = encode(tmp_path / f"a.{suffix}", codec, moving_frames(12, *size), pixel_format, options=options)
    facts = probe(path)
    assert decide(facts).decoder == ("PyAV" if codec in LEFT_TO_PYAV else "OpenCV")
    ours, others = list(opencv_frames(path, facts, [])), list(pyav_frames(path, facts, []))
    assert len(ours) == len(others) == 12
    assert facts.declared_frames == (None if suffix == "ts" else 12)
    for one, other in zip(ours, others, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.pixels.shape == (*size, 3)
        assert one.time == pytest.approx(other.time, abs=1e-6)


def test_an_odd_number_of_rows_is_left_to_pyav(tmp_path: Path) -> None:
    """OpenCV 4.12 gives wrong colours, at worst in grey H.264."""
    path = encode(tmp_path / "a.mp4", "libx264", made := moving_frames(4, 33, 48), "gray")
    assert decide(probe(path)).decoder == "PyAV"
    grey = np.stack(made).mean(axis=-1, keepdims=True)
    assert np.abs(np.stack([frame.pixels for frame in pyav_frames(path, probe(path), [])]) - grey).mean() < 20
