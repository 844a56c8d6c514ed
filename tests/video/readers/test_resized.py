"""A video whose pictures change their size is refused: OpenCV would scale them to the first in silence."""

from pathlib import Path

import av
import pytest
from av_files import encode, moving_frames

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.container import decide, probe


def joined(path: Path, codec: str, sizes: list[tuple[int, int]], pixel_format: str = "yuv420p") -> Path:
    """Twelve frames of each size, one after another in time."""
    content = b""
    for number, size in enumerate(sizes):
        times = range(12 * number, 12 * number + 12)
        frames = moving_frames(12, *size, seed=number)
        content += encode(
            path, codec, frames, pixel_format, times=times, options={"x265-params": "log-level=none"}
        ).read_bytes()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format"),
    [
        ("libx264", "ts", "yuv420p"),
        ("libx265", "ts", "yuv420p"),
        ("libvpx", "mkv", "yuv420p"),
        ("libvpx-vp9", "mkv", "yuv420p"),
        ("libvpx-vp9", "mkv", "yuv444p"),
        ("mjpeg", "mkv", "yuvj420p"),
    ],
)
def test_another_size_is_refused(tmp_path: Path, codec: str, suffix: str, pixel_format: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV does not write {codec}")
    path = joined(tmp_path / f"a.{suffix}", codec, [(64, 96), (64, 80)], pixel_format)
    assert decide(probe(path)).decoder == "OpenCV"
    with pytest.raises(InputError, match="changes from 64x96 to 64x80 pixels at frame 13"), open_video(path) as video:
        list(video)


def test_other_settings_at_the_same_size_are_read(tmp_path: Path) -> None:
    frames = moving_frames(24)
    options = {"x264-params": "ref=1:cqm=jvt"}
    first = encode(tmp_path / "one.ts", "libx264", frames[:12])
    second = encode(tmp_path / "two.ts", "libx264", frames[12:], times=range(12, 24), options=options)
    path = tmp_path / "a.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with open_video(path) as video:
        assert len(list(video)) == 24
