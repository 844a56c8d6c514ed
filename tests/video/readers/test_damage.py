"""Damage in mid-file costs the frames that it hits, and is counted exactly."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av_files import encode, moving_frames

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.container import ContainerFacts
from convlstm_cli.video.readers.damage import Ledger
from convlstm_cli.video.readers.stop import Stop

FACTS = ContainerFacts(
    container="matroska,webm", codec="vp9", stream=0, streams=1, height=32, width=48, bits=8, grey=False, alpha=False,
    interlaced=False, pixel_aspect=Fraction(1), mirrored=False, wide_gamut=False, fps=25.0, even=True, timed=True,
    reordered=False, tick=Fraction(1, 1000), cut_short=False, declared_frames=10,
)  # fmt: skip


def read(path: Path) -> tuple[list[Frame], list[float | None], list[str]]:
    frames, times = [], []
    with open_video(path) as video:
        for frame in video:
            frames.append(frame)
            times.append(video.time)
        return frames, times, video.notes


def positions(path: Path) -> list[tuple[int, int]]:
    """Where each packet lies in the file, in the order of time, and its size."""
    with av.open(str(path)) as container:
        found = [(packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    return [(pos, size) for _, pos, size in sorted(found) if pos is not None]


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libvpx-vp9", "mp4"), ("mjpeg", "mov")])
def test_what_follows_the_damage_is_read(tmp_path: Path, codec: str, suffix: str) -> None:
    """Frames 21 and 22 of 60 are overwritten; each tenth frame is whole in itself."""
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(
        tmp_path / f"a.{suffix}", codec, moving_frames(60), pixel_format, options={"g": "10", "keyint_min": "10"}
    )
    whole, _, notes = read(path)
    assert not notes
    content = bytearray(path.read_bytes())
    for at, size in positions(path)[20:22]:
        content[at : at + size] = b"\xff" * size
    path.write_bytes(content)
    frames, times, notes = read(path)
    lost = 60 - len(frames)
    assert 2 <= lost <= 14
    assert len(notes) == 1
    assert f"{lost} of 60 frames cannot be decoded (" in notes[0]
    for frame, time in zip(frames, times, strict=True):
        assert time is not None
        np.testing.assert_array_equal(frame, whole[round(time * 25)])
    assert max(np.diff(np.asarray(times, float))) > 0.1


def test_lost_frames_are_numbered_by_their_time() -> None:
    ledger = Ledger(damaged=True)
    for number in (0, 1, 2, 3, 7, 8, 9):  # 4 to 6 are not even packets
        ledger.take(40 * number, None)
        if number not in (3, 9):
            ledger.give(40 * number)
    assert ledger.note(FACTS) == "5 of 10 frames cannot be decoded (4 to 7, 10): the file is damaged there"


def test_lost_frames_are_numbered_on_from_another_decoder() -> None:
    ledger = Ledger(damaged=True)
    stop = Stop(first=0, last=120)
    for number in range(10):
        ledger.take(40 * number, stop)
        if number > 6:
            ledger.give(40 * number)
    assert ledger.note(FACTS, stop) == "3 of 10 frames cannot be decoded (5 to 7): the file is damaged there"


def test_a_damaged_time_does_not_count_frames_that_never_were() -> None:
    ledger = Ledger(damaged=True)
    for number in (0, 1, 2, 90_000):
        ledger.take(40 * number, None)
    for number in (0, 1):
        ledger.give(40 * number)
    assert ledger.note(FACTS) == "2 of 4 frames cannot be decoded (3 to 4): the file is damaged there"


def test_packets_that_show_nothing_are_no_damage() -> None:
    ledger = Ledger()
    for number in range(10):
        ledger.take(40 * number, None)
        if number != 5:
            ledger.give(40 * number)
    assert ledger.note(FACTS) is None


def test_frames_before_the_first_key_frame_are_named() -> None:
    ledger = Ledger()
    for number in range(10):
        ledger.take(40 * number, None)
        if number > 2:
            ledger.give(40 * number)
    note = ledger.note(FACTS)
    assert note is not None
    assert note.startswith("3 of 10 frames cannot be decoded (1 to 3): they come before")
