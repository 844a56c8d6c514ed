import hashlib
import itertools
import random
from dataclasses import asdict, dataclass
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.errors import InputError
from convlstm_cli.video.split import Segment, Split, split


@dataclass(frozen=True)
class FakeVideo:
    name: str
    frames: int
    cuts: tuple[int, ...] = ()

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        return tuple(itertools.pairwise((0, *self.cuts, self.frames)))


CLIP = 8
SHARES = st.floats(0.01, 0.49)


@st.composite
def videos(draw: st.DrawFn, least: int = 3) -> list[FakeVideo]:
    names = draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), min_size=least, max_size=30, unique=True)
    )
    return [FakeVideo(f"{folder}/{number}.mp4", draw(st.integers(CLIP, 90))) for folder, number in names]


def subsets(result: Split) -> list[tuple[Segment, ...]]:
    return [result.train, result.validation, result.test]


def frames_of(segments: tuple[Segment, ...]) -> set[tuple[str, int]]:
    return {(segment.video, frame) for segment in segments for frame in range(segment.start, segment.stop)}


def check(result: Split, given_videos: list[FakeVideo]) -> None:
    lengths = {video.name: video.frames for video in given_videos}
    for segments in subsets(result):
        assert segments
        for segment in segments:
            assert segment.stop - segment.start >= CLIP
            assert 0 <= segment.start < segment.stop <= lengths[segment.video]
    for one, other in combinations(subsets(result), 2):
        assert not frames_of(one) & frames_of(other)


@given(videos(), SHARES, SHARES, st.integers(0, 5))
def test_no_frame_has_two_uses(given_videos: list[FakeVideo], validation: float, test: float, seed: int) -> None:
    result = split(given_videos, CLIP, validation=validation, test=test, seed=seed)
    check(result, given_videos)
    assert sum(map(len, subsets(result))) == len(given_videos)


@given(videos(least=1), st.integers(0, 5), st.randoms(use_true_random=False))
def test_order_does_not_matter(given_videos: list[FakeVideo], seed: int, shuffler: random.Random) -> None:
    given_videos = [FakeVideo(video.name, video.frames + 3 * CLIP) for video in given_videos]
    shuffled = list(given_videos)
    shuffler.shuffle(shuffled)
    assert split(given_videos, CLIP, seed=seed) == split(shuffled, CLIP, seed=seed)


def test_recorded_splits_stay() -> None:
    """Where every video stands alone, a split is what it was before overlaps and groups were known, bit for bit."""
    found = hashlib.sha256()
    for count in range(1, 30):
        for seed in range(4):
            made = [FakeVideo(f"{'abc'[number % 3]}/{number}.mp4", 30 + 7 * number % 50) for number in range(count)]
            parts = [[(s.video, s.start, s.stop) for s in part] for part in subsets(split(made, CLIP, seed=seed))]
            found.update(repr(parts).encode())
    assert found.hexdigest() == "b80507af3f570901704d58216d7d510e40753979eacd66768f246c7756e257e8"


def test_the_seed_matters() -> None:
    given_videos = [FakeVideo(f"{number}.mp4", 40) for number in range(20)]
    assert len({split(given_videos, CLIP, seed=seed) for seed in range(5)}) == 5


def test_every_folder_is_in_every_subset() -> None:
    given_videos = [FakeVideo(f"{folder}/{number}", 40) for folder in ("digits", "rain") for number in range(14)]
    for seed in range(20):
        result = split(given_videos, CLIP, seed=seed)
        assert [len(segments) for segments in subsets(result)] == [20, 4, 4]
        for segments in subsets(result):
            assert sorted({segment.video.split("/")[0] for segment in segments}) == ["digits", "rain"]


@given(st.integers(2 * CLIP, 200), st.integers(2 * CLIP, 200), SHARES, SHARES, st.integers(0, 5))
def test_two_videos(one: int, other: int, validation: float, test: float, seed: int) -> None:
    given_videos = [FakeVideo("a", one), FakeVideo("b", other)]
    result = split(given_videos, CLIP, validation=validation, test=test, seed=seed)
    check(result, given_videos)
    (trained,), (validated,), (tested,) = subsets(result)
    assert trained.video != validated.video == tested.video
    assert validated.start == 0
    assert validated.stop <= tested.start
    assert tested.stop == {"a": one, "b": other}[tested.video]


@pytest.mark.parametrize("seed", range(4))
def test_of_two_videos_the_one_that_can_is_held_out(seed: int) -> None:
    result = split([FakeVideo("short", CLIP), FakeVideo("long", 2 * CLIP)], CLIP, seed=seed)
    assert result.train == (Segment("short", 0, CLIP),)


@given(st.integers(3 * CLIP, 500), SHARES, SHARES)
def test_one_video_goes_forward_in_time(frames: int, validation: float, test: float) -> None:
    given_videos = [FakeVideo("a", frames)]
    result = split(given_videos, CLIP, validation=validation, test=test, seed=0)
    check(result, given_videos)
    (trained,), (validated,), (tested,) = subsets(result)
    gaps = validated.start - trained.stop, tested.start - validated.stop
    assert trained.start == 0
    assert tested.stop == frames
    assert 0 <= gaps[0] == gaps[1] <= CLIP
    if frames >= 7 * CLIP:
        assert gaps[0] == CLIP


@pytest.mark.parametrize(
    ("frames", "needed"), [([3 * CLIP - 1], 3 * CLIP), ([2 * CLIP - 1, CLIP], 2 * CLIP), ([99, 99, CLIP - 1], CLIP)]
)
def test_too_short_says_how_many_frames_it_takes(frames: list[int], needed: int) -> None:
    given_videos = [FakeVideo(str(number), count) for number, count in enumerate(frames)]
    with pytest.raises(InputError, match=rf"\b{needed} are needed.*--input-frames or --frames"):
        split(given_videos, CLIP, seed=0)


def test_a_split_survives_a_dictionary() -> None:
    result = split([FakeVideo("a", 100)], CLIP, seed=0)
    content = asdict(result)
    parts = {name: tuple(Segment(**s) for s in content[name]) for name in ("train", "validation", "test")}
    assert Split(how=content["how"], group_by=content["group_by"], **parts) == result


@given(
    st.lists(st.lists(st.integers(1, 4 * CLIP), min_size=1, max_size=12), min_size=1, max_size=5),
    SHARES,
    SHARES,
    st.integers(0, 9),
)
def test_no_segment_spans_a_gap(lengths: list[list[int]], validation: float, test: float, seed: int) -> None:
    given_videos = [
        FakeVideo(str(number), ends[-1], tuple(ends[:-1]))
        for number, ends in enumerate(list(itertools.accumulate(pieces)) for pieces in lengths)
    ]
    room = [sum(length // CLIP for length in pieces) for pieces in lengths]
    try:
        result = split(given_videos, CLIP, validation=validation, test=test, seed=seed)
    except InputError:
        assert min(room) < 1 or (len(room) == 1 and room[0] < 3) or (len(room) == 2 and max(room) < 2)
        return
    check(result, given_videos)
    pieces = {(video.name, start): stop for video in given_videos for start, stop in video.pieces}
    for segment in (segment for subset in subsets(result) for segment in subset):
        start = max(start for name, start in pieces if name == segment.video and start <= segment.start)
        assert segment.stop <= pieces[segment.video, start]
