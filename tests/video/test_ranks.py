from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.random import Generator
from numpy.typing import NDArray

from convlstm_cli.video.ranks import SAMPLE, range_of, ranks_of, ranks_of_frame
from convlstm_cli.video.values import ValueRange

FRAMES, PIXELS = 20, 2500

DISTRIBUTIONS: dict[str, Callable[[Generator], NDArray[np.float64]]] = {
    "normal": lambda random: random.normal(300, 1, (FRAMES, PIXELS)),
    "lognormal": lambda random: random.lognormal(0, 1.2, (FRAMES, PIXELS)),
    "left-skewed": lambda random: -random.lognormal(0, 1, (FRAMES, PIXELS)),
    "gamma": lambda random: random.gamma(0.3, 2, (FRAMES, PIXELS)),
    "rain": lambda random: random.lognormal(0, 1.2, (FRAMES, PIXELS)) * (random.random((FRAMES, PIXELS)) < 0.2),
    "uniform": lambda random: random.uniform(-5, 5, (FRAMES, PIXELS)),
}


def extent(frames: NDArray[np.float64]) -> ValueRange:
    return range_of(np.stack([ranks_of(frame) for frame in frames]))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@given(seed=st.integers(0, 2**32 - 1), stuck=st.sampled_from([65535.0, -9999.0, -32768.0, 1e20]))
@settings(max_examples=10, deadline=None)
def test_all_values_of_a_distribution_count_and_stuck_ones_do_not(name: str, seed: int, stuck: float) -> None:
    random = np.random.default_rng(seed)
    frames = DISTRIBUTIONS[name](random)
    clean = ValueRange(frames.min(), frames.max())
    assert extent(frames) == clean
    wrong = random.choice(frames.size, frames.size // 10_000, replace=False)
    rest = np.delete(frames, wrong)
    frames.ravel()[wrong] = stuck
    assert extent(frames) == ValueRange(rest.min(), rest.max())


@given(arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)))
def test_few_values_have_no_outliers(values: NDArray[np.float64]) -> None:
    found = range_of(ranks_of(values))
    assert found.low == values.min()
    assert found.high == (values.max() if np.ptp(values) > 0 else values.min() + 1)


def test_extremes_of_large_frames_are_those_of_all_pixels() -> None:
    values = np.random.default_rng(0).gamma(1, 5, 30 * SAMPLE)
    ranks = ranks_of(values)
    assert (ranks[1], ranks[-1]) == (values.min(), values.max())
    assert list(ranks[-4:]) == np.sort(values)[-4:].tolist()
    assert ranks[len(ranks) // 2] == pytest.approx(np.median(values), rel=0.02)
    assert range_of(ranks) == ValueRange(values.min(), values.max())


def test_rare_values_count_and_none_are_0_to_1() -> None:
    rain = np.zeros(100_000)
    rain[:40] = np.linspace(1, 80, 40)
    assert range_of(ranks_of(rain)) == ValueRange(0.0, 80.0)
    rain[:40] = 80.0
    assert range_of(ranks_of(rain)) == ValueRange(0.0, 80.0)
    assert range_of(ranks_of(np.full(9, 7, np.int16))) == ValueRange(7.0, 8.0)
    assert range_of(ranks_of(np.zeros(0))) == ValueRange(0.0, 1.0)


def test_each_channel_has_ranks_of_its_own_without_missing_values() -> None:
    frame = np.stack([np.arange(100.0).reshape(10, 10), np.full((10, 10), np.nan)], axis=2)
    ranks = ranks_of_frame(frame)
    assert range_of(ranks[0]) == ValueRange(0.0, 99.0)
    assert ranks[1, 0] == 0
    assert range_of(ranks) == range_of(ranks[0])
    assert range_of(ranks_of_frame(np.arange(-1, 99, dtype=np.int16).reshape(10, 10, 1), -1)) == ValueRange(0.0, 98.0)
