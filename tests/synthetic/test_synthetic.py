"""Made-up clips: what holds for every kind of scene, seed and size."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli import synthetic
from convlstm_cli.errors import UsageError
from convlstm_cli.synthetic import camera, flows, paths
from convlstm_cli.synthetic.canvas import Canvas
from convlstm_cli.synthetic.scenes import SCENES, rain

KINDS = tuple(synthetic.kinds())


def test_every_kind_has_a_share_and_the_shares_are_all() -> None:
    assert set(KINDS) == set(SCENES)
    assert min(synthetic.kinds().values()) > 0
    assert sum(synthetic.kinds().values()) == pytest.approx(1.0)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**40),
    frames=st.integers(1, 5),
    height=st.integers(8, 37),
    width=st.integers(8, 37),
    channels=st.integers(1, 4),
)
def test_any_seed_gives_bytes_of_the_shape_that_was_asked_for(
    seed: int, frames: int, height: int, width: int, channels: int
) -> None:
    clip = synthetic.clip(seed, frames, height, width, channels)
    assert clip.shape == (frames, height, width, channels)
    assert clip.dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width", "channels"), [(17, 31, 1), (24, 9, 3), (8, 8, 6)])
def test_every_kind_is_made_at_odd_sizes_and_the_same_every_time(
    kind: str, height: int, width: int, channels: int
) -> None:
    for seed in range(3):
        clip = synthetic.clip(seed, 5, height, width, channels, kind=kind)
        assert clip.shape == (5, height, width, channels)
        assert np.array_equal(clip, synthetic.clip(seed, 5, height, width, channels, kind=kind))


@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_a_kind_differ_show_something_and_move(kind: str) -> None:
    clips = [synthetic.clip(seed, 16, 32, 32, kind=kind).astype(float) for seed in range(12)]
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(clips))
    assert np.mean([np.ptp(clip) > 2 for clip in clips]) > 0.7
    assert np.mean([np.abs(np.diff(clip, axis=0)).max() > 0 for clip in clips]) > 0.5


def test_kinds_differ_for_one_seed() -> None:
    clips = [synthetic.clip(1, 6, 32, 32, kind=kind).astype(float) for kind in KINDS]
    for one, other in itertools.combinations(clips, 2):
        assert np.abs(one - other).mean() > 0


def test_most_of_most_clips_stands_still_and_some_move_all_over() -> None:
    """As real videos do: a median pixel of a median clip does not change, and a tenth of the clips move nearly all."""
    shares = []
    for seed in range(120):
        change = np.abs(np.diff(synthetic.clip(seed, 12, 32, 32).astype(float), axis=0))
        shares.append((change > 5).mean())
    low, middle, high = np.quantile(shares, [0.2, 0.5, 0.9])
    assert low < 0.02
    assert middle < 0.2
    assert high > 0.25


def test_speeds_are_mostly_slow_and_reach_a_quarter_of_the_frame() -> None:
    random = np.random.default_rng(0)
    speeds = np.array([paths.speed(random, 64) for _ in range(4000)]) / 64
    assert (speeds == 0).mean() == pytest.approx(paths.STILL, abs=0.03)
    assert np.median(speeds) < 0.015
    assert (speeds > 0.05).mean() > 0.03
    assert speeds.max() <= paths.FASTEST


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), frames=st.integers(1, 30), side=st.integers(8, 200), pace=st.floats(0, 50))
def test_no_track_is_faster_than_the_fastest(seed: int, frames: int, side: int, pace: float) -> None:
    track = paths.track(np.random.default_rng(seed), frames, side, pace)
    assert track.shape == (frames, 2)
    assert (np.linalg.norm(np.diff(track, axis=0), axis=1) <= paths.FASTEST * side + 1e-6).all()


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), high=st.floats(0.1, 100))
def test_what_bounces_stays_inside_and_keeps_its_speed_between_the_walls(seed: int, high: float) -> None:
    random = np.random.default_rng(seed)
    way = random.uniform(0, high, 2) + np.arange(20)[:, None] * random.normal(0, 0.02 * high, 2)
    bounced = paths.bounce(way, np.zeros(2), np.full(2, high))
    assert (bounced >= -1e-9).all()
    assert (bounced <= high + 1e-9).all()
    assert (np.abs(np.diff(bounced, axis=0)) <= np.abs(np.diff(way, axis=0)) + 1e-9).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), frames=st.integers(1, 40))
def test_what_reaches_stays_between_its_ends_and_never_jumps(seed: int, frames: int) -> None:
    values = paths.reach(np.random.default_rng(seed), frames, -1.0, 2.0)
    assert values.shape == (frames,)
    assert values.min() >= -1.0 - 1e-9
    assert values.max() <= 2.0 + 1e-9
    # The way of the least jerk is at most 15/8 times as fast as a straight one, here over 4 steps.
    assert np.abs(np.diff(values)).max(initial=0) <= 3.0 * 15 / 8 / 4 + 1e-9


def test_a_steady_flow_carries_things_by_its_speed() -> None:
    flow = np.zeros((20, 30, 2), np.float32)
    flow[..., 0], flow[..., 1] = 1.5, -0.5
    found = flows.displacements(flow, 4)
    for step, away in enumerate(found):
        np.testing.assert_allclose(away[..., 0], -1.5 * step, atol=1e-4)
        np.testing.assert_allclose(away[..., 1], 0.5 * step, atol=1e-4)


def test_a_codec_keeps_what_stands_still_to_the_bit() -> None:
    random = np.random.default_rng(3)
    still = np.repeat(random.integers(0, 256, (1, 20, 28, 1)).astype(np.uint8), 4, axis=0)
    moving = still.copy()
    moving[2:, :8, :8] = 255 - moving[2:, :8, :8]
    coded = camera.compressed(np.random.default_rng(5), moving)
    changed = np.abs(np.diff(coded.astype(int), axis=0)).max(axis=(0, 3))
    assert changed[:8, :8].max() > 0
    assert not np.array_equal(coded[0], still[0])  # the compression shows
    once = camera.compressed(np.random.default_rng(5), still)
    assert (once[1:] == once[1]).all()


def test_a_rendering_is_averaged_over_its_pixels() -> None:
    fine = np.zeros((4, 6, 2), np.float32)
    fine[:2, :2] = 1.0
    fine[0, 2] = 1.0
    small = camera.resized(fine, 2, 3)
    np.testing.assert_allclose(small[..., 0], [[1.0, 0.25, 0.0], [0.0, 0.0, 0.0]])


def test_a_canvas_knows_its_shorter_side() -> None:
    canvas = Canvas(3, 20, 10, 2, 2.0)
    assert canvas.side == 10
    assert canvas.empty().shape == (3, 20, 10, 2)


@pytest.mark.parametrize(
    "arguments",
    [(0, 0), (0, 3, 7, 64), (0, 3, 64, 4), (0, 3, 64, 64, 0)],
    ids=["frames", "height", "width", "channels"],
)
def test_what_makes_no_clip_is_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be made"):
        synthetic.clip(*arguments)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'snow'; choose one of signer"):
        synthetic.clip(0, kind="snow")


def test_rain_forgets_at_random_and_fine_grains_before_coarse_ones() -> None:
    """An autoregressive field keeps its variance, and loses exp(-rate) of itself a step whatever happened before."""
    fields = rain._forgetting(np.random.default_rng(0), 40, 96, 96, 3.0, 0.2)
    flat = fields.reshape(40, -1) - fields.reshape(40, -1).mean(axis=1, keepdims=True)
    alike = [float(np.mean([np.corrcoef(flat[t], flat[t + lag])[0, 1] for t in range(30)])) for lag in (1, 5)]
    assert alike[0] == pytest.approx(np.exp(-0.2), abs=0.02)
    assert alike[1] == pytest.approx(np.exp(-1.0), abs=0.05)
    assert fields[-5:].std() == pytest.approx(fields[:5].std(), rel=0.1)
    changes = [
        np.abs(np.diff(rain._evolving(np.random.default_rng(seed), Canvas(6, 48, 48, 1, 1.0), 48, 48), axis=0)).mean()
        for seed in range(8)
    ]
    assert min(changes) > 0
