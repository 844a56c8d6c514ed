"""Files of every container, cut at random places and overwritten at others: sound frames or one clear error.

`CONVLSTM_FUZZ=1000` tries so many of each.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from av_files import encode, moving_frames

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers import open_video

TRIES = int(os.environ.get("CONVLSTM_FUZZ", "6"))
SECONDS = 20.0
"""After which reading a tiny file counts as hanging."""

INTRA = {"mjpeg", "ffv1", "rawvideo", "prores_ks"}
"""Codecs all of whose frames are whole in themselves."""
FILES = [
    ("libx264", "mp4", "yuv420p"),
    ("libx264", "mkv", "yuv420p"),
    ("libx264", "ts", "yuv420p"),
    ("libx264", "h264", "yuv420p"),
    ("libvpx-vp9", "webm", "yuv420p"),
    ("ffv1", "mkv", "bgr0"),
    ("mjpeg", "avi", "yuvj420p"),
    ("mjpeg", "mjpeg", "yuvj420p"),
    ("rawvideo", "avi", "bgr24"),
    ("mpeg2video", "mpg", "yuv420p"),
    ("prores_ks", "mov", "yuv422p10le"),
    ("gif", "gif", "rgb8"),
    ("flv1", "flv", "yuv420p"),
    ("wmv2", "wmv", "yuv420p"),
]


def read(path: Path) -> list[Frame]:
    """Its frames; none where it is refused, which has to be with its name."""
    began = time.monotonic()
    try:
        with open_video(path) as video:
            frames = list(video)
        assert all(isinstance(note, str) and note for note in video.notes)
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - frames or an error
        frames = []
    assert time.monotonic() - began < SECONDS
    return frames


@pytest.fixture(params=FILES, ids=lambda made: f"{made[0]}-{made[1]}")
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    codec, suffix, pixel_format = request.param
    options = {"movflags": "faststart"} if suffix == "mp4" else None
    return codec, encode(tmp_path / f"whole.{suffix}", codec, moving_frames(20), pixel_format, options=options)


def test_a_torn_file(made: tuple[str, Path]) -> None:
    codec, path = made
    whole, content = read(path), path.read_bytes()
    assert len(whole) == 20
    known = {frame.tobytes() for frame in whole}
    random = np.random.default_rng(7)
    torn = path.with_name(f"torn{path.suffix}")
    found = 0
    for number in range(TRIES):
        if number % 2:
            changed = bytearray(content)
            at, length = int(random.integers(len(content))), int(random.integers(1, 400))
            changed[at : at + length] = random.bytes(len(changed[at : at + length]))
            torn.write_bytes(changed)
            read(torn)
            continue
        torn.write_bytes(content[: int(random.integers(len(content)))])
        frames = read(torn)
        found += len(frames)
        if codec in INTRA:  # the last frame may be half there, and no mark of the codec says so
            assert {frame.tobytes() for frame in frames[:-1]} <= known
        assert len(frames) <= len(whole)
    if path.suffix in (".mkv", ".webm", ".ts", ".mpg", ".mjpeg"):
        assert found
