import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import MakeVideo

from convlstm_cli.video.clips import ClipDataset, Windows
from convlstm_cli.video.colour import to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import Library, Segment, index


@pytest.fixture
def library(tmp_path: Path, make_video: MakeVideo) -> Library:
    make_video(tmp_path / "data" / "colour", "npy", count=12, height=16, width=24)
    make_video(tmp_path / "data" / "grey", "npy", count=9, height=16, width=24, channels=1)
    return index([tmp_path / "data"], FrameGeometry(16, 24))


SEGMENTS = (Segment("colour.npy", 2, 11), Segment("grey.npy", 0, 5))


@pytest.mark.parametrize("channels", [1, 3])
def test_clips_are_the_frames_of_their_window(library: Library, channels: int) -> None:
    clips = ClipDataset(library, SEGMENTS, 4, channels=channels)
    assert list(clips.clips) == [("colour.npy", start) for start in range(2, 8)] + [("grey.npy", 0), ("grey.npy", 1)]
    assert len(clips) == 8
    for position, (name, start) in enumerate(clips.clips):
        clip = clips[position]
        assert (clip.shape, clip.dtype) == ((4, channels, 16, 24), torch.uint8)
        expected = to_channels(np.array(library.frames(name)[start : start + 4]), channels)
        np.testing.assert_array_equal(clip.permute(0, 2, 3, 1), expected)


@given(st.integers(0, 50), st.integers(1, 60), st.integers(1, 12), st.integers(1, 9))
def test_no_clip_leaves_its_segment_and_none_is_missing(start: int, length: int, clip_frames: int, stride: int) -> None:
    segment = Segment("v", start, start + length)
    clips = Windows([segment], clip_frames, stride)
    starts = [first for _, first in clips]
    assert all(segment.start <= first and first + clip_frames <= segment.stop for first in starts)
    assert len(starts) == max(0, (length - clip_frames) // stride + 1)
    assert all(later - earlier == stride for earlier, later in pairwise(starts))


def test_a_clip_is_the_callers_own(library: Library) -> None:
    clips = ClipDataset(library, SEGMENTS, 4, channels=3)
    before = clips[0].clone()
    clips[0].zero_()
    assert torch.equal(clips[0], before)


def test_past_the_end_is_an_index_error(library: Library) -> None:
    clips = ClipDataset(library, SEGMENTS, 4, channels=3)
    with pytest.raises(IndexError):
        clips[len(clips)]


def test_pickling_takes_no_frames_along(library: Library) -> None:
    clips = ClipDataset(library, SEGMENTS, 4, channels=3)
    expected = clips[0]
    content = pickle.dumps(clips)
    assert len(content) < 12 * 16 * 24 * 3
    assert torch.equal(pickle.loads(content)[0], expected)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30)), max_size=6), st.integers(1, 12), st.integers(1, 9))
def test_every_way_to_ask_for_windows_gives_the_same(
    parts: list[tuple[int, int]], clip_frames: int, stride: int
) -> None:
    segments = [Segment(f"v{index}", start, start + length) for index, (start, length) in enumerate(parts)]
    windows = Windows(segments, clip_frames, stride)
    expected = [
        (segment.video, start)
        for segment in segments
        for start in range(segment.start, segment.stop - clip_frames + 1, stride)
    ]
    count = len(windows)
    assert count == len(expected)
    assert list(windows) == expected == [windows[position] for position in range(count)] == windows[:]
    assert windows[1:-1:2] == expected[1:-1:2]
    assert [windows[position] for position in range(-count, 0)] == expected
    for beyond in (count, -count - 1):
        with pytest.raises(IndexError):
            windows[beyond]
