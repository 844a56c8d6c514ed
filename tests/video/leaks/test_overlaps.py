from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import compressed, recording

from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.leaks.overlaps import Overlap, describe, find_overlaps, overlaps_between
from convlstm_cli.video.leaks.prints import CELLS, Prints
from convlstm_cli.video.library import index


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.integers(0, 60), st.integers(20, 40), st.floats(0, 1), st.floats(-5, 5))
def test_a_clip_is_found_in_its_recording(seed: int, start: int, frames: int, noise: float, brighter: float) -> None:
    whole = recording(100, seed, background=1)
    cut = compressed(whole[start : start + frames], seed, noise=noise, brighter=brighter)
    others = {f"other{n}": recording(60, 2**20 + n, background=1) for n in range(3)}
    [found] = [each for each in find_overlaps({"whole": whole, "cut": cut, **others}) if each.first != each.second]
    assert (found.first, found.second) == ("whole", "cut")
    assert abs(found.shift - start) <= 1  # frames of slow motion are alike
    assert start - 1 <= found.start < found.start + found.frames <= start + frames + 1
    assert found.frames >= frames // 2


def test_noise_does_not_hide_the_shift_of_a_slow_motion() -> None:
    """The shifts with most votes lie beside the right one."""
    whole = recording(140, 1166)
    clips = {"one": compressed(whole[45:90], 1), "other": compressed(whole[75:105], 26)}
    assert [(overlap.shift, overlap.start, overlap.frames) for overlap in find_overlaps(clips)] == [(30, 30, 15)]


def test_of_two_sides_only_pairs_across_are_found() -> None:
    whole = recording(80, 1)
    some = {"a": whole[:50], "b": whole[10:60]}
    [one, other] = sorted(overlaps_between(some, {"c": whole[20:80]}), key=lambda each: each.first)
    assert (one.first, one.second, one.shift, one.frames) == ("a", "c", 20, 30)
    assert (other.first, other.second, other.shift, other.frames) == ("b", "c", 10, 40)


def test_a_video_that_repeats_itself() -> None:
    whole = recording(40, 3)
    found = find_overlaps({"loop": np.concatenate((whole, whole))})
    assert Overlap("loop", "loop", 40, 40, 40) in found
    assert "loop after 40 frames" in describe(found, {"loop"})[0]
    assert not describe(found, {"other"})


def still(seed: int) -> Prints:
    return np.repeat(recording(1, seed, background=7), 60, axis=0)


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_where_nothing_happens_nothing_is_found(noise: float) -> None:
    """Black frames, one still scene twice, one camera's background before different motion."""
    videos = {
        "black": np.zeros((60, CELLS), np.uint8),
        "dark": np.zeros((50, CELLS), np.uint8),
        "still": still(1),
        "as still": still(1),
        **{f"before one background {n}": recording(60, n, blobs=2, background=7) for n in range(6)},
    }
    assert (
        find_overlaps({name: compressed(each, n, noise=noise) for n, (name, each) in enumerate(videos.items())}) == ()
    )


def test_one_day_is_not_another_for_its_light() -> None:
    """A still scene that grows brighter each morning in the same way."""
    light = np.linspace(0.3, 1, 60)[:, None]
    scene = recording(1, 1, background=7)
    days = {f"{day}": compressed((light * scene).astype(np.uint8), day) for day in range(4)}
    assert find_overlaps(days) == ()


def test_the_sample_videos_are_all_different() -> None:
    library = index([Path(__file__).parents[3] / "sample_data"], FrameGeometry(64, 64))
    assert len(library.videos) == 28
    assert find_overlaps({video.name: library.prints(video.name) for video in library.videos}) == ()


def test_things_that_move_alike_for_a_moment_are_no_overlap() -> None:
    """One blob has few ways to move, so of 180,000 pairs some look alike in passing."""
    videos = {f"{seed}": recording(60, 10_000 + seed, blobs=1) for seed in range(600)}
    whole = recording(100, 1, blobs=1)
    videos |= {"first": compressed(whole[:60], 1), "next": compressed(whole[40:], 2, brighter=3)}
    assert [(each.first, each.second, each.shift) for each in find_overlaps(videos)] == [("first", "next", 40)]


def test_an_edited_version_is_found_by_one_scene() -> None:
    whole = recording(90, 4)
    edited = np.concatenate((recording(60, 5), compressed(whole[30:55], 1), recording(60, 6)))
    [found] = find_overlaps({"whole": whole, "edited": edited})
    assert (found.shift, found.frames) == (-30, 25)


def test_a_copy_of_another_frame_rate_is_found() -> None:
    whole = recording(90, 4)
    faster = compressed(whole[np.arange(100) * 9 // 10], 1)  # each ninth frame twice
    found = find_overlaps({"whole": whole, "faster": faster, **{f"{n}": recording(60, 9 + n) for n in range(3)}})
    assert {(each.first, each.second) for each in found} == {("whole", "faster")}


def showers(seed: int) -> Prints:
    """Nearly always dry: a few small showers that move alike."""
    rng = np.random.default_rng(seed)
    fields = np.zeros((60, 8, 8), np.uint8)
    places = zip(
        rng.integers(1, 7, 4), rng.integers(0, 4, 4), rng.integers(0, 54, 4), rng.integers(50, 120, 4), strict=True
    )
    for row, column, start, light in places:
        for step in range(6):
            fields[start + step, row, column + step // 3 : column + 2 + step // 3] = light - (20 * (step % 3), 30)
    return fields.reshape(60, -1)


def test_dry_spells_and_a_shower_alike_are_no_overlap() -> None:
    found = find_overlaps({f"{seed}": showers(seed) for seed in range(40)})
    assert [each for each in found if each.first != each.second] == []
