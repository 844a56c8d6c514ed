from collections.abc import Callable
from pathlib import Path

import pytest
from made_networks import CPU, dissect, make, make_clips

from convlstm_cli.comparing.anatomy.examination import examine
from convlstm_cli.video.clips import ClipDataset


@pytest.fixture
def clips(make_folder: Callable[..., Path]) -> ClipDataset:
    return make_clips(make_folder(videos=3, frames=42))


def test_without_peepholes_there_is_saturation_only(clips: ClipDataset) -> None:
    found = dissect({"none": [make("none")], "channel": [make("channel")]}, clips)
    assert {row.arm for row in found.saturation} == {"none", "channel"}
    assert {row.arm for row in found.peepholes} == {row.arm for row in found.knock_out} == {"channel"}
    assert any(sentence.startswith("channel: ") for sentence in found.conclusions)
    assert not any(sentence.startswith("none: ") for sentence in found.conclusions)
    # Zero peepholes and the same seed: the same network.
    shares = [
        [(row.closed, row.open, row.mean) for row in found.saturation if row.arm == arm] for arm in ("none", "channel")
    ]
    assert shares[0] == shares[1]
    plain = dissect({"none": [make("none")]}, clips)
    assert (plain.peepholes, plain.knock_out, plain.conclusions) == ([], [], [])


def test_progress_counts_clips_and_may_stop(clips: ClipDataset) -> None:
    seen: list[tuple[int, int]] = []
    networks = {"none": [make("none")], "channel": [make("channel")]}
    dissect(networks, clips, lambda done, total: seen.append((done, total)))
    # Both are watched; of the one with peepholes there are four knock-outs.
    assert seen[-1] == (6 * len(clips), 6 * len(clips))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    with pytest.raises(KeyboardInterrupt, match=f"5 of {6 * len(clips)}"):
        dissect(networks, clips, stop)
    assert not networks["none"][0].named_layers()["encoder 0"]._forward_hooks


def test_the_thresholds_and_the_clips_are_part_of_the_result(clips: ClipDataset) -> None:
    found = dissect({"full": [make("full", o=1.0)]}, clips)
    assert (found.saturation_clips, found.closed_below, found.open_above) == (len(clips), 0.1, 0.9)


def test_an_exact_network_is_said_to_be_exact(clips: ClipDataset) -> None:
    found = examine({"channel": [lambda: make("channel")]}, clips, CPU, 5, {"channel": [0.0]})
    assert {row.relative for row in found.knock_out} == {None}
    assert "exact" in " ".join(found.conclusions)
