from pathlib import Path

import pytest
from video_helpers import FILE_FORMATS, MakeFrames

from convlstm_cli.video import matroska
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.writers import open_writer


@pytest.mark.parametrize("kind", FILE_FORMATS)
def test_equal_frames_give_equal_files(tmp_path: Path, make_frames: MakeFrames, kind: str) -> None:
    paths = [tmp_path / name / f"video{OUTPUT_FORMATS[kind].suffix}" for name in "ab"]
    for path in paths:
        with open_writer(path, kind, 10.0) as writer:
            for frame in make_frames(9):
                writer.write(frame)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with open_video(paths[0]) as video:
        assert sum(1 for _ in video) == 9


@pytest.mark.parametrize("kind", ["webm", "lossless"])
def test_nothing_but_ids_and_their_checksums_is_changed(
    tmp_path: Path, make_frames: MakeFrames, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("convlstm_cli.video.writers.opencv_video.settle_ids", lambda _path: None)
    path = tmp_path / f"video{OUTPUT_FORMATS[kind].suffix}"
    with open_writer(path, kind, 10.0) as writer:
        for frame in make_frames(4):
            writer.write(frame)
    drawn = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(matroska, "IDS", frozenset())
        matroska.settle_ids(path)
    assert path.read_bytes() == drawn  # so the checksums are those that FFmpeg computes
    matroska.settle_ids(path)
    settled = path.read_bytes()
    assert len(settled) == len(drawn)
    assert settled != drawn
    track = b"\x73\xc5\x88"
    position = drawn.index(track) + len(track)
    assert drawn[position : position + 8] != settled[position : position + 8] == bytes(7) + b"\x01"
    assert drawn[position : position + 8] not in settled  # what refers to the track has its new id
