from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square
from prediction import Notes, make_run, one
from timed_videos import timed_video

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.clip import TimedInput, _Recent, read_clip
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.times import Schedule
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.video.config import Pace
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.video_reader import TimedFrame, VideoReader


def test_at_beyond_the_end_says_how_many_frames_there_are(video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="12 frames"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=13))


def test_one_frame_is_not_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "still.npy", np.zeros((1, 32, 32), np.uint8))
    with pytest.raises(InputError, match="single frame"):
        one(make_run(tmp_path / "run"), tmp_path / "still.npy", tmp_path / "out")


def test_bands_that_are_times_are_said_how_to_give(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    frames = np.zeros((16, 18, 9), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", frames, metadata=None, photometric="minisblack", planarconfig="contig")
    with (
        pytest.raises(InputError, match=r"if its 9 bands are times, give '.*a\.tif::axes=HWT'"),
        open_video(tmp_path / "a.tif") as video,
    ):
        read_clip(video, 10, None, Pace())
    with open_video(tmp_path / "a.tif::axes=HWT") as video:
        assert len(list(video)) == 9


def test_frames_alone_at_the_end_of_a_varying_rate_are_left_out_and_that_is_noted(tmp_path: Path) -> None:
    path = timed_video(tmp_path / "varying.mp4", [*(number / 10 for number in range(10)), 2.9, 9.0])
    run, notes = make_run(tmp_path / "run"), Notes()
    [(_, outcome)] = predict([path], run, tmp_path / "out", progress=notes)
    assert isinstance(outcome, Forecast)
    assert (outcome.first_input_frame, outcome.last_input_frame) == (7, 10)
    assert outcome.valid_times == (1.0, 1.1, 1.2)
    assert [note for note in notes.notes if "starts from frame 10; a larger --max-gap" in note]
    with pytest.raises(InputError, match=r"frame 12 stands alone.*--at 10"):
        one(run, path, tmp_path / "out", PredictConfig(at=12))


@pytest.mark.parametrize(("at", "last", "following"), [(None, 12, 0), (12, 12, 0), (9, 9, 3), (3, 3, 9)])
def test_the_last_frames_are_read_and_the_others_follow(at: int | None, last: int, following: int, video: Path) -> None:
    frames = np.load(video)
    with open_video(video) as opened:
        clip = read_clip(opened, 4, at)
        assert (clip.first, clip.last) == (max(1, last - 3), last)
        np.testing.assert_array_equal(clip.inputs, frames[clip.first - 1 : last])
        assert clip.followed == (following > 0)
        assert clip.grey
        np.testing.assert_array_equal(list(clip.following), frames[last:] if following else [])


def test_one_frame_of_colour_makes_a_clip_of_colour(tmp_path: Path) -> None:
    np.save(tmp_path / "colour.npy", moving_square(6, seed=1, channels=3))
    with open_video(tmp_path / "colour.npy") as opened:
        assert not read_clip(opened, 4, None).grey


def timed(times: Sequence[float], start: datetime | None = None, fps: float | None = None) -> VideoReader:
    """A video whose frames show their position, from 0."""
    frames = (TimedFrame(np.full((4, 4, 1), number, np.uint8), time) for number, time in enumerate(times))
    return VideoReader(Path("v"), "file", frames, fps=fps, start=start)


def shown(frames: Sequence[np.ndarray]) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


GAP = [*range(12), *range(15, 20)]
"""17 frames, one a second, of which three are missing."""


@pytest.mark.parametrize(
    ("at", "inputs", "following"),
    [
        (None, [13, 14, 15, 16], []),
        (14, [12, 13], [14, 15, 16]),
        (12, [8, 9, 10, 11], []),
        (9, [5, 6, 7, 8], [9, 10, 11]),
    ],
)
def test_no_frame_beyond_a_gap_is_read(at: int | None, inputs: list[int], following: list[int]) -> None:
    clip = read_clip(timed(GAP), 4, at)
    assert shown(clip.inputs) == inputs
    assert (clip.first, clip.last) == (inputs[0] + 1, inputs[-1] + 1)
    assert shown(list(clip.following)) == following
    assert clip.followed == bool(following)
    assert clip.step == 1
    assert bool(clip.notes) == (len(inputs) < 4)
    assert all("gap of 4 s between frames 12 and 13" in note for note in clip.notes)


def test_a_frame_alone_after_a_gap_says_which_frames_there_are() -> None:
    with pytest.raises(InputError, match=r"gap of 4 s between frames 12 and 13; give --at 12 .*--max-gap"):
        read_clip(timed(GAP), 4, 13)
    assert shown(read_clip(timed(GAP), 4, 13, Pace(max_gap=5)).inputs) == [9, 10, 11, 12]


@pytest.mark.parametrize(("at", "every", "apart"), [(None, 0.1, 3), (80, 0.1, 3), (71, 0.5, 15), (33, 0.0333, 1)])
def test_input_and_truth_are_at_the_step_of_the_training(at: int | None, every: float, apart: int) -> None:
    clip = read_clip(timed([number / 30 for number in range(90)]), 3, at, Pace(every))
    last = (at or 90) - 1
    # Of many frames a step is met within an eighth of it.
    np.testing.assert_allclose(shown(clip.inputs), [last - 2 * apart, last - apart, last], atol=apart // 8)
    assert clip.last == last + 1
    assert clip.step == pytest.approx(every, rel=0.05)
    assert shown(list(clip.following)) == list(range(last + apart, 90, apart))
    assert clip.following.last == (90 - 1 - last) // apart * apart + last + 1


def test_few_frames_are_kept_whatever_the_rate() -> None:
    recent = _Recent(10, 1.0)
    for number in range(5000):
        recent.add(TimedInput(number + 1, number / 480, np.zeros((1, 1, 1), np.uint8)))
        assert len(recent.frames) <= 42
    assert recent.frames[-1].number == 5000
    assert recent.frames[0].number <= 5000 - 9 * 480


def test_a_slower_video_than_the_training_is_read_as_it_is_and_noted() -> None:
    clip = read_clip(timed(range(10)), 4, None, Pace(0.1))
    assert shown(clip.inputs) == [6, 7, 8, 9]
    assert clip.step == 1
    assert "a frame every 1 s" in clip.notes[0]


@pytest.mark.parametrize(
    ("times", "fps", "film", "rate"),
    [
        ([number / 480 for number in range(9)], None, True, 480),
        ([60 * number for number in range(9)], None, True, 1 / 60),
        ([600 * number for number in range(9)], None, False, 10),
        ([number / 25 for number in range(9)], None, False, 25),
        ([number / 29.97 for number in range(9)], 30.0, True, 30),
        ([*(number / 30 for number in range(9)), *(0.3 + number / 10 for number in range(9))], 20.0, True, 10),
    ],
)
def test_a_forecast_plays_at_the_rate_of_its_input(
    times: list[float], fps: float | None, film: bool, rate: float
) -> None:
    clip = read_clip(timed(times, fps=fps), 4, None)
    assert clip.step is not None
    schedule = Schedule.of(clip, 2, PredictConfig(), Path("v"), film=film)
    assert schedule.fps == pytest.approx(rate)
    assert schedule.valid_times == pytest.approx([times[-1] + clip.step, times[-1] + 2 * clip.step], abs=1e-3)
    assert Schedule.of(clip, 2, PredictConfig(fps=7), Path("v"), film=film).fps == 7


@pytest.mark.parametrize(
    ("step", "names"),
    [
        (600, ("20240101T0030", "20240101T0040")),
        (90, ("20240101T000430", "20240101T000600")),
        (0.25, ("20240101T000000_750000", "20240101T000001_000000")),
    ],
)
def test_frames_are_named_by_the_time_that_they_are_forecast_for(step: float, names: tuple[str, ...]) -> None:
    clip = read_clip(timed([step * number for number in range(3)], start=datetime(2024, 1, 1)), 4, None)
    schedule = Schedule.of(clip, 2, PredictConfig(names="time"), Path("v"), film=False)
    assert schedule.names == names
    assert schedule.valid_times is not None
    assert (
        datetime.fromisoformat(str(schedule.valid_times[0])).timestamp() - datetime(2024, 1, 1).timestamp() == 3 * step
    )
    with pytest.raises(InputError, match="no dates, so --names time"):
        Schedule.of(read_clip(timed(range(9)), 4, None), 2, PredictConfig(names="time"), Path("v"), film=False)


def numbered(numbers: list[float]) -> VideoReader:
    frames = (TimedFrame(np.full((8, 8, 1), position, np.uint8)) for position in range(len(numbers)))
    return VideoReader(Path("v"), "images", frames, numbers=numbers)


def test_no_input_and_no_known_frame_lies_beyond_missing_numbers() -> None:
    numbers = [float(number) for number in (*range(10), *range(14, 24))]
    after = read_clip(numbered(numbers), 4, 12)
    assert (after.first, after.last) == (11, 12)
    assert "numbers are missing in the names of its images between frames 10 and 11" in after.notes[0]
    before = read_clip(numbered(numbers), 4, 8)
    assert len(list(before.following)) == 2
    with pytest.raises(InputError, match=r"stands alone.*--at 10"):
        read_clip(numbered(numbers), 4, 11)
    assert len(list(read_clip(numbered(numbers), 4, 8, Pace(max_gap=5)).following)) == 12
