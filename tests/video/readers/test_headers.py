"""What the head of a stream says, and that it is asked before a container is believed."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av_files import encode, moving_frames

from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.container import decide, probe
from convlstm_cli.video.readers.headers import SequenceHeader, sequence_header


def head_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.extradata or b""


def combed(stream: Any) -> None:
    stream.codec_context.flags |= 0x20040000  # AV_CODEC_FLAG_INTERLACED_ME and _DCT


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_h264(tmp_path: Path, suffix: str, pixel_format: str) -> None:
    plain = encode(tmp_path / f"a.{suffix}", "libx264", moving_frames(12), pixel_format)
    assert sequence_header("h264", head_of(plain)) == SequenceHeader(True, None, None)
    written = encode(
        tmp_path / f"b.{suffix}", "libx264", moving_frames(12), pixel_format, aspect=Fraction(16, 11), adapt=combed,
        options={"x264-params": "colormatrix=bt2020nc:cqm=jvt"},
    )  # fmt: skip
    assert sequence_header("h264", head_of(written)) == SequenceHeader(False, Fraction(16, 11), 9)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_h265(tmp_path: Path, suffix: str, interlaced: bool) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV does not write libx265")
    options = {"x265-params": f"log-level=none:interlace={int(interlaced)}"}
    path = encode(tmp_path / f"a.{suffix}", "libx265", moving_frames(2, 64, 96), options=options)
    assert sequence_header("hevc", head_of(path)) == SequenceHeader(not interlaced, None, None)


def test_a_damaged_head_says_nothing(tmp_path: Path) -> None:
    head = head_of(encode(tmp_path / "a.mp4", "libx264", moving_frames(2)))
    found = [sequence_header("h264", head[:length]) for length in range(len(head))]
    assert found[:12] == [None] * 12
    assert all(sequence_header("h264", bytes(length)) is None for length in range(40))
    assert sequence_header("vp9", head) is None


def test_interlaced_pictures_of_which_the_container_says_nothing(tmp_path: Path) -> None:
    """OpenCV gives black pictures then."""
    path = encode(tmp_path / "a.avi", "mpeg4", moving_frames(4), adapt=combed, options={"top": "1"})
    assert decide(probe(path)).reasons == ("may be interlaced",)
    with open_video(path) as video:
        frames = list(video)
        assert any("deinterlaced" in note for note in video.notes)
    assert len(frames) == 4
    assert frames[1].mean() > 50


def test_pixels_of_a_transport_stream_become_square(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "a.ts", "libx264", moving_frames(4), aspect=Fraction(4, 3))) as video:
        assert (video.height, video.width) == (32, 64)
