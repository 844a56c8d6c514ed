"""The sample videos are what their README says, and worth forecasting."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import Library, index

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"


@pytest.fixture
def library() -> Library:
    return index([SAMPLE_DATA], FrameGeometry(64, 64))


def test_every_clip_can_be_used(library: Library) -> None:
    assert library.problems == ()
    assert library.channels == 1
    assert {video.frames for video in library.videos} == {40}
    assert {(video.source_height, video.source_width) for video in library.videos} == {(64, 64)}
    kinds = defaultdict(list)
    for video in library.videos:
        kinds[video.name.split("/")[0]].append(video.path.suffix)
    for suffixes in kinds.values():
        assert len(suffixes) == 14
        assert set(suffixes) == {".mkv", ".mp4", ".webm", ".avi", ".gif", ".npy", ""}
    assert set(kinds) == {"digits", "rain"}


def test_copying_the_last_frame_is_clearly_bad(library: Library) -> None:
    for video in library.videos:
        frames = library.frames(video.name).astype(float)
        assert np.mean((frames[10:20] - frames[9]) ** 2) > 0.3 * frames[:20].var()
        assert np.mean((frames[1:] - frames[:-1]) ** 2) < 0.8 * frames.var()


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE_DATA.rglob("*")) < 3e6
