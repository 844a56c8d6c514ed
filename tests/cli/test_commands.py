"""Every command on one folder of videos: what it prints, as text and as JSON, and what it writes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from calls import QUICK, called, refused
from helpers import TINY, moving_square
from PIL import Image
from typer.testing import Result

STEPS = ("--max-steps", 2)

pytestmark = pytest.mark.usefixtures("short_motion_throughout")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with videos, two images and a broken file among them."""
    folder = tmp_path_factory.mktemp("commands")
    videos = folder / "videos"
    videos.mkdir()
    for index in range(6):
        np.save(videos / f"square{index}.npy", moving_square(14, seed=index))
    (videos / "broken.mp4").write_bytes(b"no video")
    for name in ("poster.png", "cover.png"):  # two images among videos do not hide the videos
        Image.new("L", (8, 8)).save(videos / name)
    return folder


@pytest.fixture(scope="module")
def trained(place: Path, short_motion_throughout: None) -> Result:  # noqa: ARG001
    return called("train", "videos", *TINY, *STEPS, cwd=place)


@pytest.fixture(scope="module")
def compared(place: Path, trained: Result) -> Result:  # noqa: ARG001  # the other run is not to be the newest
    return called("compare", "videos", *QUICK, *STEPS, "--arms", "none,channel", "--seeds", 2, "--json", cwd=place)


def test_train(place: Path, trained: Result) -> None:
    assert "times that of copying the last frame" in trained.stdout
    assert "broken.mp4" in trained.stderr
    assert "runs/videos-1" in trained.stderr
    assert "next: convlstm predict VIDEO -m runs/videos-1" in trained.stderr
    assert (place / "runs/videos-1/report.html").exists()


@pytest.mark.usefixtures("without_charts")
def test_a_training_that_learned_by_heart_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlstm_cli.training.result.learned_by_heart", lambda *_: True)
    done = called("train", "videos", *TINY, *STEPS, "-o", "by-heart", cwd=place)
    assert "were learned by heart. More videos help, and so does --augment" in done.stderr


def test_train_prints_nothing_but_json(place: Path) -> None:
    done = called("train", "videos", *QUICK, *STEPS, "-q", "--json", "-o", "quiet", cwd=place)
    assert json.loads(done.stdout)["model"]["clips"] > 0
    assert done.stderr == ""


def test_a_dry_run_trains_nothing(place: Path) -> None:
    done = called("train", "videos", *QUICK, "--dry-run", "-o", "dry", cwd=place)
    assert "expected memory" in done.stdout
    assert "6 usable videos" in done.stdout
    assert (done.stdout + done.stderr).count("broken.mp4") == 1
    plan = json.loads(called("train", "videos", *QUICK, "--dry-run", "--json", "-o", "dry", cwd=place).stdout)
    assert plan["batch_shape"] == [8, 7, 1, 32, 32]
    assert plan["expected_memory"] > 0
    assert len(plan["videos"]) == 6
    assert not (place / "dry").exists()


def test_predict(place: Path, trained: Result) -> None:  # noqa: ARG001
    done = called("predict", "videos/square0.npy", "--at", 10, cwd=place)
    assert "using the newest run, runs/videos-1" in done.stderr
    assert "after frame 10" in done.stdout
    assert (place / "forecasts/videos-1/square0/frame_000003.png").exists()
    arguments = "videos/square0.npy", "-m", "runs/videos-1", "--at", 10
    assert "kept 1 forecast in forecasts/videos-1" in called("predict", *arguments, cwd=place).stderr
    found = json.loads(called("predict", *arguments, "--json", cwd=place).stdout)
    assert (found["run"], found["kept"], found["shard"]) == ("runs/videos-1", 1, "0/1")
    assert found["forecasts"][0]["last_input_frame"] == 10


def test_a_failed_input_exits_1_after_the_others(place: Path, trained: Result) -> None:  # noqa: ARG001
    np.save(place / "still.npy", moving_square(1, seed=0))
    inputs = "still.npy", "videos/square2.npy"
    done = called("predict", *inputs, "-m", "runs/videos-1", "-o", "two", cwd=place, code=1)
    assert "still.npy" in done.stderr
    assert (place / "two/square2/frame_000001.png").exists()
    done = called("predict", *inputs, "-m", "runs/videos-1", "-o", "two", "--json", cwd=place, code=1)
    assert [failure["source"] for failure in json.loads(done.stdout)["failures"]] == ["still.npy"]


def test_an_ensemble_has_the_name_of_its_members(place: Path, compared: Result) -> None:  # noqa: ARG001
    members = "runs/videos-1", "runs/compare-videos-1"
    arguments = "videos/square1.npy", "--at", 9, "--ensemble", *members, "--native-size", "--json"
    together = json.loads(called("predict", *arguments, cwd=place).stdout)
    comparison = "runs/compare-videos-1"
    seeds = [f"{comparison}/seed-{seed}/{arm}" for arm in ("none", "channel") for seed in (0, 1)]
    assert together["runs"] == ["runs/videos-1", *seeds]
    assert together["forecasts"][0]["scores"]["spread_skill"]["mean"] > 0
    assert together["forecasts"][0]["folder"] == "forecasts/videos-1+compare-videos-1/square1"
    assert "needs an INPUT" in refused("predict", "runs/videos-1", "--ensemble", comparison, cwd=place)


def test_evaluate(place: Path, trained: Result) -> None:  # noqa: ARG001
    done = called("evaluate", "runs/videos-1", "--thresholds", "0.2,0.5", cwd=place)
    assert "against" in done.stdout
    assert "optical flow" in done.stdout
    assert "runs/videos-1/evaluation-1" in done.stderr
    assert (place / "runs/videos-1/evaluation-1/scores.csv").exists()
    shutil.copytree(place / "runs/videos-1", place / "twin")
    done = called("evaluate", "runs/videos-1", "twin", "videos", "-o", "scored", "--json", cwd=place)
    assert "5 of 6 videos are left out" in done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((place / "scored/evaluation.json").read_text())
    assert found["members"]["count"] == 2


def test_compare_and_inspect_of_a_comparison(place: Path, compared: Result) -> None:
    summary = json.loads(compared.stdout)
    assert [arm["name"] for arm in summary["arms"]] == ["none", "channel"]
    assert "channel, seed 1: 2 steps" in compared.stderr
    assert json.loads(called("inspect", "runs/compare-videos-1", "--json", cwd=place).stdout) == summary
    assert "channel" in called("inspect", "runs/compare-videos-1", cwd=place).stdout
    scored = called("evaluate", "runs/compare-videos-1", "-o", "members", cwd=place)  # all its runs together
    assert "spread of 4 members" in scored.stdout


def test_inspect_of_videos_and_runs(place: Path, trained: Result) -> None:  # noqa: ARG001
    clip = "--size", 32, "--input-frames", 4, "--frames", 3
    shown = called("inspect", "videos", *clip, cwd=place).stdout
    assert "6 usable videos" in shown
    assert "broken.mp4" in shown
    found = json.loads(called("inspect", "videos", *clip, "--json", cwd=place).stdout)
    assert [Path(video["path"]).name for video in found["videos"]] == [f"square{index}.npy" for index in range(6)]
    assert found["frames"] == 6 * 14
    assert found["frame_shape"] == [1, 32, 32]
    assert "14" in called("inspect", "videos/square0.npy", cwd=place).stdout
    assert json.loads(called("inspect", "videos/square0.npy", "--json", cwd=place).stdout)["frames"] == 14
    assert json.loads(called("inspect", "runs/videos-1", "--json", cwd=place).stdout)["epochs"] == 1
    shown = called("inspect", "runs/videos-1", cwd=place).stdout
    assert "peephole channel" in " ".join(shown.split())
    assert "times that of copying the last frame" in shown


def test_explain_and_info(tmp_path: Path) -> None:
    assert "W_ci" in called("explain", "--peephole", "full", cwd=tmp_path).stdout
    assert json.loads(called("explain", "--json", cwd=tmp_path).stdout)["layers"]
    assert "torch" in called("info", cwd=tmp_path).stdout
    assert json.loads(called("info", "--json", cwd=tmp_path).stdout)["torch"]


def test_explain_takes_a_run_or_options(place: Path, trained: Result) -> None:  # noqa: ARG001
    found = json.loads(called("explain", "-m", "runs/videos-1", "--json", cwd=place).stdout)
    assert found["layers"][0]["out_channels"] == 4
    assert "--hidden and -m" in refused("explain", "-m", "runs/videos-1", "--hidden", 8, cwd=place)
