"""No moment of a recording and no group on two sides of a split, whatever the clips and their names are."""

from dataclasses import dataclass
from itertools import combinations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from recordings import compressed, recording

from convlstm_cli.errors import InputError
from convlstm_cli.video.leaks.components import components
from convlstm_cli.video.leaks.groups import find_groups
from convlstm_cli.video.leaks.overlaps import find_overlaps
from convlstm_cli.video.leaks.prints import Prints
from convlstm_cli.video.split import Segment, Split, split

CLIP = 6
SHARED = 15
"""Frames that clips share at least where they share any."""


@dataclass(frozen=True)
class Clip:
    """Cut from a recording."""

    name: str
    recording: int
    start: int
    prints: Prints
    pieces: tuple[tuple[int, int], ...]

    @property
    def frames(self) -> int:
        return len(self.prints)


@st.composite
def folders(draw: st.DrawFn) -> list[Clip]:
    clips: list[Clip] = []
    recordings = draw(st.integers(1, 5))
    base = draw(st.integers(0, 2**16))
    for number in range(recordings):
        whole = recording(140, base + number, background=draw(st.sampled_from([None, 5])))
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, 100 // SHARED)) * SHARED
            stop = start + draw(st.integers(2, (140 - start) // SHARED)) * SHARED
            lossy = draw(st.booleans())
            prints = whole[start:stop]
            if lossy:
                prints = compressed(prints, draw(st.integers(0, 99)), brighter=draw(st.floats(-4, 4)))
            person, folder = draw(st.integers(1, 4)), draw(st.sampled_from(["", "a/", "b/"]))
            gap = draw(st.sampled_from([0, 0, len(prints) // 2]))
            pieces = ((0, gap), (gap, len(prints))) if gap else ((0, len(prints)),)
            clips.append(Clip(f"{folder}p{person}_{len(clips)}.mkv", number, start, prints, pieces))
    return draw(st.permutations(clips))


def moments(clips: dict[str, Clip], segments: tuple[Segment, ...]) -> set[tuple[int, int]]:
    return {
        (clips[each.video].recording, clips[each.video].start + frame)
        for each in segments
        for frame in range(each.start, each.stop)
    }


def check(result: Split, clips: dict[str, Clip]) -> None:
    for one, other in combinations((result.train, result.validation, result.test), 2):
        assert not moments(clips, one) & moments(clips, other)
    for segment in (*result.train, *result.validation, *result.test):
        assert segment.stop - segment.start >= CLIP
        pieces = clips[segment.video].pieces
        assert any(start <= segment.start and segment.stop <= stop for start, stop in pieces)


@settings(max_examples=40, deadline=None)
@given(folders(), st.sampled_from(["none", r"p\d", "auto"]), st.floats(0.05, 0.4), st.integers(0, 9))
def test_nothing_leaks(folder: list[Clip], group_by: str, share: float, seed: int) -> None:
    clips = {clip.name: clip for clip in folder}
    groups = find_groups(clips, group_by)
    overlaps = find_overlaps({name: clip.prints for name, clip in clips.items()})
    try:
        result = split(folder, CLIP, validation=share, test=share, seed=seed, overlaps=overlaps, groups=groups)
    except InputError:
        assert len(components(clips, overlaps, groups.of)) < 3
        assume(False)
    check(result, clips)
    if result.group_by is not None:
        parts = [{groups.of[each.video] for each in part} for part in (result.train, result.validation, result.test)]
        assert not any(one & other for one, other in combinations(parts, 2))
    assert (group_by == "none") <= (result.group_by is None)
    shuffled = sorted(folder, key=lambda clip: clip.frames)
    assert split(shuffled, CLIP, validation=share, test=share, seed=seed, overlaps=overlaps, groups=groups) == result
