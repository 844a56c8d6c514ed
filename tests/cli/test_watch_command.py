"""`convlstm watch` as people call it."""

import json
from pathlib import Path

import numpy as np
import pytest
from calls import called, refused
from prediction import make_run

from convlstm_cli.cli.watched_view import SHOWN, watched_view
from convlstm_cli.watch import watch
from convlstm_cli.watching.config import WatchConfig


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlstm_cli.watching.output.write_film", lambda *_: None)
    monkeypatch.setattr("convlstm_cli.watching.plot.Curve.write", lambda *_: None)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a run and a video, where something lights up at frames 81 to 83."""
    make_run(tmp_path / "runs" / "mine")
    frames = np.random.default_rng(0).integers(90, 110, (120, 32, 32, 1), np.uint8)
    frames[80:83, 8:16, 20:28] = 250
    np.save(tmp_path / "odd.npy", frames)
    return tmp_path


def test_the_events_are_shown_and_the_results_are_named(here: Path) -> None:
    done = called("watch", "odd.npy", "-m", "runs/mine", cwd=here)
    assert "frames a second" in done.stdout
    assert "worst frame" in done.stdout
    assert "are taken for normal" in done.stderr
    assert "wrote watched/mine/odd" in done.stderr
    assert (here / "watched" / "mine" / "odd" / "scores.csv").is_file()


def test_json_has_events_counts_and_failures(here: Path) -> None:
    np.save(here / "short.npy", np.zeros((6, 32, 32, 1), np.uint8))
    done = called("watch", "odd.npy", "short.npy", "-m", "runs/mine", "-o", "out", "--json", "-q", cwd=here, code=1)
    found = json.loads(done.stdout)
    [watched] = found["watched"]
    assert watched["frames"] == 120
    assert watched["folder"] == "out/odd"
    assert any(event["first"] <= 81 <= event["last"] for event in watched["events"])
    assert "short.npy" in found["failures"][0]["error"]


def test_wrong_options_are_refused_by_name(here: Path) -> None:
    assert "--false-alarms" in refused("watch", "odd.npy", "--false-alarms", "0", cwd=here)
    assert "nowhere" in refused("watch", "odd.npy", "-m", "runs/mine", "--normal", "nowhere", cwd=here, code=1)


def test_a_calm_video_has_a_line_and_many_events_a_note(here: Path) -> None:
    run = make_run(here / "run")
    [(_, found)] = watch([here / "odd.npy"], run, here / "out", WatchConfig())
    assert not isinstance(found, Exception)
    vars(found.record)["events"] = found.events[:1] * (SHOWN + 3)
    *_, note = watched_view(found)
    assert note == "and 3 events of lower scores, in watch.json"
    vars(found.record)["events"] = ()
    [line] = watched_view(found)
    assert "no events in 86 of 120 frames" in str(line)
