from pathlib import Path

import pytest
from av_files import encode, moving_frames

from convlstm_cli.video.readers.extent import is_cut_short


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", "mp4", {}),
        ("libx264", "mov", {"movflags": "faststart"}),
        ("mjpeg", "avi", {}),
        ("libvpx-vp9", "webm", {}),
        ("libx264", "mkv", {}),
    ],
)
def test_a_missing_end_is_seen(tmp_path: Path, codec: str, suffix: str, options: dict[str, str]) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / f"a.{suffix}", codec, moving_frames(6), pixel_format, options=options)
    assert not is_cut_short(path)
    content = path.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 60):
        path.write_bytes(content[:length])
        assert is_cut_short(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x1aE\xdf\xa3", b"\0\0\0\x08ftyp", b"\0\0\0\0ftypisom", b"x" * 99])
def test_what_says_nothing_is_not_cut(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert not is_cut_short(tmp_path / "a")


def test_a_segment_of_unknown_size_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "a.webm").write_bytes(b"\x1aE\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(50))
    assert not is_cut_short(tmp_path / "a.webm")
