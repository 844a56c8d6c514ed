import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from video_helpers import FILE_FORMATS, VIDEO_FORMATS, MakeFrames, read, write

from convlstm_cli.errors import OutputError, UsageError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.writers import open_writer


@pytest.mark.parametrize("kind", [*VIDEO_FORMATS, "gif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (17, 200)])
def test_what_is_seen_is_what_was_written(
    tmp_path: Path, make_frames: MakeFrames, kind: str, channels: int, size: tuple[int, int]
) -> None:
    frames = make_frames(10, *size, channels)
    decoded = read(write(tmp_path / "a", kind, frames))
    assert len(decoded) == 10
    for seen, frame in zip(decoded, frames, strict=True):
        error = np.abs(seen[: size[0], : size[1]].astype(float) - frame)
        assert error.mean() < 6, "a shift, a mirror image or swapped colours would be further off"


@pytest.mark.parametrize("fps", [1 / 300, 12.5, 1000])
@pytest.mark.parametrize("kind", [*VIDEO_FORMATS, "gif"])
def test_any_sensible_frame_rate(tmp_path: Path, make_frames: MakeFrames, kind: str, fps: float) -> None:
    assert len(read(write(tmp_path / "a", kind, make_frames(3), fps))) == 3


@pytest.mark.parametrize("kind", list(OUTPUT_FORMATS))
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
    tmp_path: Path, make_frames: MakeFrames, kind: str, other: npt.NDArray[np.generic]
) -> None:
    (first,) = make_frames(1)
    with pytest.raises(OutputError, match="got a frame"):
        write(tmp_path / "a", kind, [first, other])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", FILE_FORMATS)
def test_a_failure_leaves_the_older_file(tmp_path: Path, make_frames: MakeFrames, kind: str) -> None:
    path = tmp_path / f"a{OUTPUT_FORMATS[kind].suffix}"
    path.write_text("older")

    def interrupted() -> Iterator[Frame]:
        yield from make_frames(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, kind, interrupted())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "older"


@pytest.mark.parametrize("kind", list(OUTPUT_FORMATS))
def test_no_frame_is_no_video(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OutputError, match="without a single frame"):
        write(tmp_path / "a", kind, [])


@pytest.mark.parametrize("kind", list(OUTPUT_FORMATS))
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, make_frames: MakeFrames, kind: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write(tmp_path / "file" / "a", kind, make_frames(1))


FULL_DISK = """
import json, resource, sys
from pathlib import Path
import numpy as np
from convlstm_cli.errors import OutputError
from convlstm_cli.video.writers import open_writer
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
frames = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
for kind, path in json.loads(sys.argv[1]).items():
    try:
        with open_writer(Path(path), kind, 10.0) as writer:
            for frame in frames:
                writer.write(frame)
    except OutputError as error:
        print(error)
"""
"""Writes a video in each format, none of which fits, and prints the messages."""


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    paths = {kind: str(tmp_path / f"a-{kind}{each.suffix}") for kind, each in OUTPUT_FORMATS.items()}
    command = [sys.executable, "-c", FULL_DISK, json.dumps(paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    messages = done.stdout.splitlines()
    assert len(messages) == len(paths)
    for message, path in zip(messages, paths.values(), strict=True):
        assert message.startswith(path)
    assert done.stderr == ""
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []


def test_an_unknown_format_names_the_others() -> None:
    with pytest.raises(UsageError, match=r"--format.*webm"), open_writer(Path("a"), "mov", 10.0):
        pass
