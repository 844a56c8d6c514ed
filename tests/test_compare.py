import contextlib
import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convlstm_cli.compare import ExplicitSettings, compare, peephole_arms, recorded_arms, resume
from convlstm_cli.comparing import planning
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Plan
from convlstm_cli.errors import Interrupted, OutputError, UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import ComparisonSummary, read_summary
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

PLAIN = ForecasterConfig(
    32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="unconditioned", head="sigmoid"
)
"""Without motion, which takes most of the time of a small network."""
TRAINING = TrainConfig(max_steps=3, batch_size=4, epoch_steps=2, device="cpu")
PAIR = CompareConfig(("none", "channel"), seeds=2)


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder(8)),), height=32, width=32), 4, 3)


def compared(
    data: VideoData, folder: Path, config: CompareConfig = PAIR, model: ForecasterConfig = PLAIN, **more: Any
) -> ComparisonSummary:
    return compare(data, peephole_arms(config.arms, model, TRAINING), config, folder, **more)


def without_times(summary: ComparisonSummary) -> dict[str, Any]:
    """What must not depend on when and where a comparison was made."""
    kept: dict[str, Any] = summary.to_dict()
    del kept["folder"]
    for arm in kept["arms"]:
        del arm["step_seconds"]
        for run in arm["runs"]:
            del run["seconds"]
    return kept


def test_all_arms_and_seeds_are_compared_and_everything_is_written(data: VideoData, tmp_path: Path) -> None:
    folder = tmp_path / "comparison"
    summary = compared(data, folder, CompareConfig(seeds=2))
    written = read_summary(folder)
    assert written is not None
    assert written.to_dict() == json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary.to_dict() == written.to_dict()
    assert summary.kind == "trained"
    assert summary.reference == "none"
    assert list(summary.differences) == ["channel", "full"]
    assert summary.seeds == [0, 1]
    none, channel, full = summary.arms
    assert [arm.name for arm in summary.arms] == ["none", "channel", "full"]
    assert {arm.steps for arm in summary.arms} == {3}
    layers = 2  # one of the encoder, one of the forecaster; four channels and three peepholes each
    assert channel.parameters - none.parameters == layers * 4 * 3
    assert full.parameters - none.parameters == layers * 4 * 3 * 8 * 8
    assert none.memory < channel.memory < full.memory
    assert all(arm.step_seconds is not None and arm.step_seconds > 0 for arm in summary.arms)
    assert channel.differs == {"peephole": "channel"}
    assert [run.folder for run in full.runs] == ["seed-0/full", "seed-1/full"]
    assert [row.steps for row in full.runs[0].history] == [3]
    assert {row.arm for row in summary.anatomy.knock_out} == {"channel", "full"}
    assert summary.verdict
    assert summary.anatomy.conclusions
    assert (folder / "report.html").stat().st_size > 10_000

    clips, leads = summary.clips, 3
    assert sum(video.clips for video in summary.videos) == clips
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == clips * leads * (3 * 2 + 3)
    mine = [float(row["mse"]) for row in rows if row["system"] == "channel"]
    assert sum(mine) / len(mine) == pytest.approx(channel.scores.mean_mse)
    reference = [float(row["mse"]) for row in rows if row["system"] == "none"]
    assert summary.differences["channel"].mean == pytest.approx((sum(mine) - sum(reference)) / len(mine))


@pytest.mark.usefixtures("without_charts")
def test_the_scores_are_those_of_the_tested_runs(data: VideoData, tmp_path: Path) -> None:
    summary = compared(data, tmp_path / "out")
    for arm in summary.arms:
        for run in arm.runs:
            test = json.loads((tmp_path / "out" / run.folder / "test.json").read_text(encoding="utf-8"))
            assert run.mse == pytest.approx(test["model"]["mean"]["mse"], rel=1e-6)
            assert run.best_epoch == test["best_epoch"]
    assert summary.baselines["optical_flow"].to_dict() == test["optical_flow"]


@pytest.mark.usefixtures("without_charts")
def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(data: VideoData, tmp_path: Path) -> None:
    config = dataclasses.replace(PAIR, seeds=1)
    whole = compared(data, tmp_path / "whole", config)
    calls = 0

    def every(patience: int) -> Callable[[], bool]:
        def stop() -> bool:
            nonlocal calls
            calls += 1
            return calls % patience == 0

        return stop

    folder = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="--resume"):
        compared(data, folder, config, should_stop=every(25))  # 22 of the questions come while steps are timed
    for patience in (7, 11, 17, 10_000):
        calls = 0
        with contextlib.suppress(Interrupted):
            summary = resume(Plan.read(folder), should_stop=every(patience))
    assert without_times(summary) == without_times(whole)


@pytest.mark.usefixtures("without_charts")
def test_seeds_can_be_added_and_what_is_trained_stays(data: VideoData, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    compared(data, folder, dataclasses.replace(PAIR, seeds=1))
    before = {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/**/*")}
    summary = resume(Plan.read(folder), ExplicitSettings(compare={"seeds": 2}))
    assert summary.seeds == [0, 1]
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert Plan.read(folder).extended
    assert any("added" in line for line in summary.verdict)
    at_once = compared(data, tmp_path / "at_once")
    assert summary.arms[1].scores == at_once.arms[1].scores
    for explicit, words in (
        (ExplicitSettings(compare={"seeds": 1}), "--seeds is 1"),
        (ExplicitSettings(model={"horizon": 9}), "--frames is 9"),
    ):
        with pytest.raises(UsageError, match=words):
            resume(Plan.read(folder), explicit)


@pytest.mark.usefixtures("without_charts")
def test_parameters_can_be_matched(data: VideoData, tmp_path: Path) -> None:
    config = CompareConfig(("none", "full"), seeds=1, match="params")
    none, full = compared(data, tmp_path / "out", config).arms
    assert none.parameters == pytest.approx(full.parameters, rel=0.1)
    assert none.hidden > full.hidden == [4]
    assert none.differs["hidden"] == none.hidden


@pytest.mark.usefixtures("without_charts")
def test_time_can_be_matched(data: VideoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "time_steps", lambda *_: [1.0, 2.0])
    summary = compared(data, tmp_path / "out", dataclasses.replace(PAIR, match="time", seeds=1))
    assert [arm.steps for arm in summary.arms] == [6, 3]
    assert summary.match == "time"


@pytest.mark.usefixtures("without_charts")
def test_recorded_configurations_are_trained_anew(data: VideoData, tmp_path: Path) -> None:
    slow = dataclasses.replace(TRAINING, learning_rate=1e-4, seed=5)
    runs = [train(data, PLAIN, config, tmp_path / name).run for name, config in (("a", TRAINING), ("truth", slow))]
    arms = recorded_arms(runs, TrainConfig(max_steps=2, seed=1, device="cpu"))
    assert [arm.name for arm in arms] == ["a", "truth-2"]  # a row of the pictures is called truth
    summary = compare(data, arms, CompareConfig(("a", "truth"), seeds=1), tmp_path / "out")
    assert summary.seeds == [1]
    assert summary.arms[1].differs == {"learning_rate": 1e-4}
    assert {arm.steps for arm in summary.arms} == {2}
    again = Run.open(tmp_path / "out/seed-1/truth-2")
    assert train_config(again).learning_rate == 1e-4


def test_an_existing_folder_is_not_touched(data: VideoData, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    with pytest.raises(OutputError, match="out"):
        compared(data, tmp_path / "out")
