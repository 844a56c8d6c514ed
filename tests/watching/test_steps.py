import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.video.config import Pace
from convlstm_cli.video.readers.video_reader import TimedFrame, VideoReader
from convlstm_cli.watching.steps import LOOKED_AT, Steps


def reader(times: Sequence[float | None], numbers: Sequence[float] | None = None) -> VideoReader:
    """A video whose frames at these times have their position as their value."""
    frames = (TimedFrame(np.full((2, 2, 1), at % 256, np.uint8), time) for at, time in enumerate(times))
    return VideoReader(Path("video"), "made", frames, numbers=numbers)


def begins(steps: Steps) -> list[int]:
    """Numbers of the frames that a gap, or nothing, is before."""
    return [step.number for step in steps if step.begins]


def test_a_lost_frame_a_pause_and_times_that_go_back_are_gaps() -> None:
    times = [*np.arange(0, 2, 0.04), *np.arange(2.08, 3, 0.04), *np.arange(60, 61, 0.04), *np.arange(5, 6, 0.04)]
    starts = [1, 51, 51 + 23, 51 + 23 + 25]
    steps = Steps(reader(times), Pace())
    assert steps.seconds == pytest.approx(0.04)
    assert begins(steps) == starts


def test_times_that_are_rounded_or_drift_are_no_gaps() -> None:
    assert begins(Steps(reader(np.round(np.arange(200) / 30, 3).tolist()), Pace())) == [1]
    assert begins(Steps(reader(np.cumsum(np.linspace(0.03, 0.1, 300)).tolist()), Pace())) == [1]


def test_a_rate_that_changes_is_a_gap_only_until_it_is_usual() -> None:
    found = begins(Steps(reader([*np.arange(0, 4, 0.04), *np.arange(4, 40, 0.4)]), Pace()))
    assert found[-1] < 115


def test_without_times_missing_numbers_are_gaps_and_without_these_nothing_is() -> None:
    numbers = [*range(20), *range(25, 40)]
    steps = Steps(reader([None] * 35, numbers), Pace())
    assert steps.seconds is None
    assert begins(steps) == [1, 21]
    assert begins(Steps(reader([None] * 35), Pace())) == [1]


def test_a_longer_gap_is_allowed_by_max_gap() -> None:
    times = [*np.arange(0, 2, 0.04), *np.arange(2.08, 3, 0.04)]
    assert begins(Steps(reader(times), Pace("auto", 3.0))) == [1]


def test_the_frames_nearest_to_longer_steps_are_taken() -> None:
    times = [*np.arange(97) * 0.04, *(10 + np.arange(50) * 0.04)]
    steps = Steps(reader(times), Pace(0.2))
    found = list(steps)
    assert steps.seconds == 0.2
    taken = [step.number - 1 for step in found]
    assert taken == [*range(0, 97, 5), *range(97, 147, 5), 146]
    assert [step.number for step in found if step.begins] == [1, 98]


def test_few_frames_are_held() -> None:
    taken = 0

    def frames() -> "itertools.chain[TimedFrame]":
        def each(at: int) -> TimedFrame:
            nonlocal taken
            taken += 1
            return TimedFrame(np.zeros((2, 2, 1), np.uint8), at / 25)

        return map(each, itertools.count())  # type: ignore[return-value]

    video = VideoReader(Path("video"), "made", (frame for frame in frames()))
    steps = Steps(video, Pace())
    for _ in range(100):
        next(steps)
    assert taken <= 100 + LOOKED_AT
