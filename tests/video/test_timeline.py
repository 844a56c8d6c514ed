import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from convlstm_cli.errors import InputError
from convlstm_cli.video.config import GAP, Pace
from convlstm_cli.video.timeline import FOLLOWED, Timeline, in_words, same_rate, timeline_of, usual_step

# Steps in eighths of a usual one of 8 s: most are usual, some early or late, some gaps, some duplicates or backwards.
STEPS = st.lists(
    st.one_of(*[st.just(64)] * 4, st.integers(40, 90), st.sampled_from([0, 8, 21, 97, 128, 300, -50])),
    min_size=1,
    max_size=80,
)
PACES = st.builds(Pace, st.sampled_from(["auto", "frame", 8.0, 20.0, 64.0]), st.sampled_from([1.2, GAP, 3.0]))


def clock_of(steps: list[int]) -> list[float]:
    return [each / 8 for each in itertools.accumulate(steps, initial=0)]


def check_shape(found: Timeline, frames: int) -> None:
    """Pieces are disjoint, ascending and all of the steps, which are ascending frames."""
    assert [start for start, _ in found.pieces] == [0, *(stop for _, stop in found.pieces[:-1])]
    assert found.pieces[-1][1] == len(found.taken)
    assert all(start < stop for start, stop in found.pieces)
    assert list(found.taken) == sorted(set(found.taken))
    assert set(found.taken) <= set(range(frames))


@given(steps=STEPS, pace=PACES)
def test_no_piece_spans_a_gap_and_each_step_is_met_within_half_of_it(steps: list[int], pace: Pace) -> None:
    clock = clock_of(steps)
    try:
        found = timeline_of(len(clock), clock, pace=pace)
    except InputError:
        assert isinstance(pace.every, float)
        assert usual_step(np.array(clock)) > pace.every
        return
    check_shape(found, len(clock))
    if pace.every == "frame" or found.step is None:
        assert list(found.taken) == list(range(len(clock)))
        return
    for start, stop in found.pieces:
        grid = clock[found.taken[start]]
        for one, other in itertools.pairwise(found.taken[start:stop]):
            between = np.diff(clock[one : other + 1])
            assert between.min() >= 0
            assert between.max() <= pace.max_gap * found.step * (1 + 1e-9)
            grid += found.step
            if pace.max_gap <= GAP:
                assert abs(clock[other] - grid) <= found.step * (0.5 + 1e-9)
                grid += FOLLOWED * (clock[other] - grid)


@given(steps=STEPS, pace=PACES, shift=st.integers(-(10**6), 10**6), scale=st.sampled_from([0.5, 2.0, 64.0]))
def test_a_timeline_knows_neither_the_hour_nor_the_unit(steps: list[int], pace: Pace, shift: int, scale: float) -> None:
    def laid_out(pace: Pace, clock: list[float]) -> object:
        try:
            found = timeline_of(len(clock), clock, pace=pace)
        except InputError:
            return None
        return list(found.taken), found.pieces

    clock = clock_of(steps)
    scaled = Pace(pace.every if isinstance(pace.every, str) else pace.every * scale, pace.max_gap)
    assert laid_out(pace, clock) == laid_out(scaled, [(each + shift) * scale for each in clock])


@example(frames=15, fps=445.0, digits=3, pace=Pace("frame"))
@given(
    frames=st.integers(2, 400),
    fps=st.floats(1 / 3600, 480),
    digits=st.sampled_from([3, 5, 15]),
    pace=st.sampled_from([Pace(), Pace("frame")]),
)
def test_evenly_spaced_frames_are_steps_as_they_are(frames: int, fps: float, digits: int, pace: Pace) -> None:
    clock = [round(number / fps, digits) for number in range(frames)]
    found = timeline_of(frames, clock, pace=pace)
    assert found.taken == range(frames)
    assert found.pieces == ((0, frames),)
    assert found.notes == ()
    assert found.step is not None
    assert math.isclose(found.step, 1 / fps, rel_tol=0.05, abs_tol=0.0005)


@given(st.lists(st.floats(), min_size=1, max_size=30))
def test_times_of_any_kind_give_a_timeline(times: list[float]) -> None:
    found = timeline_of(len(times), times)
    check_shape(found, len(times))
    assert found.step is None or found.step > 0


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 9), st.floats(1.5, 5))
def test_pieces_miss_no_number(held: set[int], stride: int, max_gap: float) -> None:
    numbers = [float(stride * number) for number in sorted(held)]
    found = timeline_of(len(numbers), None, numbers, Pace(max_gap=max_gap))
    check_shape(found, len(numbers))
    assert found.step is None
    if len(found.pieces) > 1:
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        usual = sorted(steps)[(len(steps) - 1) // 2]
        starts = [position for position, step in enumerate(steps, start=1) if step > max_gap * usual]
        assert [start for start, _ in found.pieces[1:]] == starts


def test_missing_numbers_cut_and_max_gap_goes_on_over_them() -> None:
    numbers = [float(number) for number in (*range(12), *range(15, 27))]
    found = timeline_of(24, None, numbers)
    assert found.pieces == ((0, 12), (12, 24))
    assert "--max-gap 4 goes on" in found.notes[0]
    assert timeline_of(24, None, numbers, Pace(max_gap=4)).pieces == ((0, 24),)
    measured = timeline_of(6, None, [0.0, 0.1, 1.0, 3.0, 10.0, 100.0])
    assert measured.pieces == ((0, 6),)
    assert "unevenly" in measured.notes[0]


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_one_rate_is_mutual(step: float, other: float) -> None:
    assume(not math.isclose(max(step, other) / min(step, other), 1.05))
    assert same_rate(step, other) == same_rate(other, step) == (max(step, other) / min(step, other) < 1.05)


PHONE = [*(number / 30 for number in range(60)), *(2 + number / 10 for number in range(20))]
"""2 s at 30 frames a second, then 2 s at 10."""


@pytest.mark.parametrize(
    ("every", "frames", "pieces"), [("auto", 80, 20), ("frame", 80, 1), (0.1, 40, 1), (0.2, 20, 1)]
)
def test_a_rate_that_varies_is_brought_to_one_or_cut(every: float | str, frames: int, pieces: int) -> None:
    found = timeline_of(len(PHONE), PHONE, pace=Pace(every))  # type: ignore[arg-type]
    assert (len(found.taken), len(found.pieces)) == (frames, pieces)
    if every == "auto":
        assert found.notes == (
            "its frame rate varies (33.3 ms to 100 ms between frames); --every 0.1s brings it to one rate",
        )


def test_a_gap_is_named_with_its_frames() -> None:
    clock = [600 * number for number in range(30) if number not in (12, 13, 14)]
    found = timeline_of(27, clock)
    assert found.pieces == ((0, 12), (12, 27))
    assert found.notes == ("there is a gap of 40 min between frames 12 and 13",)
    assert timeline_of(27, clock, pace=Pace(max_gap=4.5)).pieces == ((0, 27),)
    assert found.source(12, 20) == (12, 20)


def test_a_slow_drift_is_followed() -> None:
    clock = np.cumsum(np.linspace(1 / 30, 1 / 29, 3000))
    assert timeline_of(3000, clock.tolist()).pieces == ((0, 3000),)


def test_steps_and_frames_of_the_source_are_told_apart() -> None:
    clock = [number / 30 for number in range(90)]
    found = timeline_of(90, clock, pace=Pace(0.1))
    assert found.taken[:3] == (0, 3, 6)
    assert found.source(2, 5) == (6, 13)
    assert found.steps(*found.source(2, 5)) == (2, 5)
    assert found.notes == ("30 of its 90 frames are taken, one every 100 ms",)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1 / 480, "2.08 ms"),
        (0.1, "100 ms"),
        (0.9999, "1 s"),
        (60, "60 s"),
        (600, "10 min"),
        (2400, "40 min"),
        (7200, "2 h"),
        (2e5, "2.31 days"),
    ],
)
def test_durations_are_in_fitting_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
