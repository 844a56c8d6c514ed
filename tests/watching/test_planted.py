"""Anomalies that are planted into a made-up video, found with the shipped weights."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.errors import ConvLSTMError
from convlstm_cli.synthetic import clip
from convlstm_cli.watch import watch
from convlstm_cli.watching.config import WatchConfig
from convlstm_cli.weights.pretrained import Pretrained

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from bench.planting import KINDS, area_under_curve, disc, moving_object, planted


def test_what_jumps_and_what_appears_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc jumps after frame 56, and another is there from frame 81 to 92, beside the traffic of a road."""
    monkeypatch.setattr("convlstm_cli.watching.output.write_film", lambda *_: None)
    monkeypatch.setattr("convlstm_cli.watching.plot.Curve.write", lambda *_: None)
    frames = clip(0, 110, 64, 64, kind="traffic")
    random = np.random.default_rng(0)
    sprite = disc(random, 64, frames.shape[-1])
    changes = np.zeros(len(frames), bool)
    for kind, at in (("jumps", 55), ("appears", 80)):
        found = planted(frames, kind, sprite, random, at)
        frames, changes = found.frames, changes | found.changes
    np.save(tmp_path / "video.npy", frames)
    [(_, watched)] = watch([tmp_path / "video.npy"], Pretrained(), tmp_path / "out", WatchConfig(members=0))
    assert not isinstance(watched, ConvLSTMError)
    with (watched.folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["p"]]
    judged = np.array([int(row["frame"]) for row in rows]) - 1
    scores = np.array([float(row["score"]) for row in rows])
    assert area_under_curve(scores[~changes[judged]], scores[changes[judged]]) > 0.95
    assert all(any(event.first <= frame <= event.last for event in watched.events) for frame in (57, 81))
    assert len(watched.events) <= 3


@pytest.mark.parametrize("kind", KINDS)
def test_planted_frames_are_those_that_differ(kind: str) -> None:
    frames = np.full((60, 48, 64, 1), 50, np.uint8)
    sprite = disc(np.random.default_rng(0), 64, 1)
    found = planted(frames, kind, sprite, np.random.default_rng(1), 30)
    differ = (found.frames != frames).any(axis=(1, 2, 3))
    assert found.shown.any()
    assert found.changes.any()
    assert not (found.shown & ~differ).any()


def test_a_moving_object_is_cut_out_with_its_velocity() -> None:
    frames = np.full((40, 64, 96, 1), 50, np.uint8)
    for t in range(40):
        frames[t, 20:32, 2 * t : 2 * t + 10] = 200
    sprite = moving_object(frames)
    assert sprite is not None
    assert sprite.velocity.tolist() == [2.0, 0.0]
    assert sprite.pixels.max() == 200
    assert moving_object(np.full((40, 64, 96, 1), 50, np.uint8)) is None


def test_the_area_under_the_curve_counts_pairs() -> None:
    assert area_under_curve(np.array([1.0, 2.0, 3.0]), np.array([2.0, 9.0])) == pytest.approx((1.5 + 3) / 6)
