"""Overlapping clips in real files, from decoding to the split."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from recordings import recording
from video_helpers import MakeVideo

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import SUBSETS, prepare
from convlstm_cli.video.geometry import resize


def frames_of(seed: int, start: int, stop: int, size: tuple[int, int] = (64, 64)) -> list[Frame]:
    """Frames of a recording in three equal channels, at a size."""
    small = recording(80, seed, background=seed)[start:stop].reshape(-1, 8, 8, 1).repeat(3, axis=-1)
    return [resize(resize(frame, 64, 64), *size) for frame in small]


def test_clips_of_four_recordings_in_three_formats(tmp_path: Path, make_video: MakeVideo) -> None:
    folder = tmp_path / "videos"
    for seed in range(4):
        make_video(folder / f"{seed}first", "lossless", frames_of(seed, 0, 40))
        make_video(folder / f"{seed}next", "webm", frames_of(seed, 20, 60, (48, 48)))
        make_video(folder / f"{seed}last", "mp4", frames_of(seed, 40, 80, (96, 96)))
    data = prepare(DataConfig((str(folder),), height=64, width=64, group_by="none"), 4, 3)
    parts = [{segment.video[0] for segment in getattr(data.split, subset)} for subset in SUBSETS]
    assert sorted(map(len, parts)) == [1, 1, 2]
    assert set.union(*parts) == set("0123")
    assert {(o.first[0], o.shift) for o in data.overlaps} <= {(str(s), k) for s in range(4) for k in (-20, 20)}
    assert len(data.learned_prints()) == np.sum([40 * 3 * len(part) for part in parts[:2]])
    assert "show the same moments" in " ".join(data.kept_together())


def test_clips_of_one_recording_are_divided_in_time(tmp_path: Path, make_video: MakeVideo) -> None:
    for number in range(3):
        make_video(tmp_path / "videos" / "abc"[number], "webm", frames_of(1, 20 * number, 20 * number + 40))
    data = prepare(DataConfig((str(tmp_path / "videos"),), height=64, width=64), 4, 3)
    starts = {"a.webm": 0, "b.webm": 20, "c.webm": 40}
    spans = [
        [(starts[each.video] + each.start, starts[each.video] + each.stop) for each in getattr(data.split, subset)]
        for subset in SUBSETS
    ]
    for before, after in pairwise(spans):
        assert max(stop for _, stop in before) + 7 <= min(start for start, _ in after)
