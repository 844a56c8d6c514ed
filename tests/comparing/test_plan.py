import dataclasses
import json
import os
from pathlib import Path

import pytest
from helpers import data_record
from made_up import made_up_summary

from convlstm_cli.cli.inspection import inspect_comparison
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Arm, Plan
from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.comparisons import (
    UnfinishedComparison,
    is_comparison,
    newest,
    read_record,
    run_folders,
    write_recorded,
)
from convlstm_cli.runs.run import Run
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.values import BYTES

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,))


def plan_in(folder: Path) -> Plan:
    arms = tuple(Arm(kind, dataclasses.replace(MODEL, peephole=kind), TrainConfig(), 0.5) for kind in ("none", "full"))
    settings: dict[str, dict[str, object]] = {
        "data": dataclasses.asdict(DataConfig(("/x",), 32, 32)),
        "model": dataclasses.asdict(MODEL),
        "training": dataclasses.asdict(TrainConfig()),
        "compare": dataclasses.asdict(CompareConfig(("none", "full"))),
    }
    data = data_record(32, 32)
    plan = Plan(folder, arms, (3, 4), data, settings)
    plan.write()
    return plan


def test_a_plan_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "out")
    read = Plan.read(tmp_path / "out")
    assert (read.arms, read.seeds, read.extended) == (plan.arms, plan.seeds, False)
    settings = json.loads(json.dumps(dataclasses.asdict(DataConfig(("/x",), 32, 32))))
    filled = {"settings": settings, "values": {**dataclasses.asdict(BYTES), "bands": []}, "missing": None, "guides": []}
    assert read.data == {**plan.data, **filled}
    assert read.compare == plan.compare
    assert [(trial.seed, trial.arm.name) for trial in read.trials()] == [
        (3, "none"),
        (3, "full"),
        (4, "none"),
        (4, "full"),
    ]
    assert is_comparison(tmp_path / "out")
    assert not is_comparison(tmp_path)


def test_only_runs_that_have_begun_are_named(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    begun = [plan.run_folder(trial) for trial in plan.trials()][1:3]
    for folder in begun:
        folder.mkdir(parents=True)
        (folder / "config.json").touch()
    (begun[0] / "test.json").touch()
    assert run_folders(tmp_path) == [begun[1], begun[0]]  # arm by arm
    with pytest.raises(RunError, match=r"is a comparison; name one of its runs: .*full"):
        Run.open(tmp_path)
    assert inspect_comparison(tmp_path) == UnfinishedComparison(str(tmp_path), "trained", runs=4, begun=2, finished=1)


def test_seeds_added_after_a_result_are_remembered(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    assert not plan.with_seeds(3).extended  # nothing was seen yet
    (tmp_path / "summary.json").touch()
    assert plan.with_seeds(4).seeds == (3, 4, 5, 6)
    assert plan.with_seeds(4).extended
    assert plan.with_seeds(4).compare.seeds == 4
    assert not plan.with_seeds(2).extended
    with pytest.raises(UsageError, match="--seeds is 1"):
        plan.with_seeds(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"kind": "trained"}', "no 'arms'"),
        ('{"kind": "recorded"}', "existing runs"),
    ],
)
def test_damage_is_one_message(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(RunError, match=words):
        Plan.read(tmp_path)
    with pytest.raises(RunError):
        run_folders(tmp_path)


def test_a_wrong_arm_is_one_message(tmp_path: Path) -> None:
    plan_in(tmp_path)
    record = read_record(tmp_path)
    record["arms"][0]["model"]["kernel_size"] = 2
    (tmp_path / "comparison.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"comparison\.json: is damaged \(--kernel-size is 2"):
        Plan.read(tmp_path)
    with pytest.raises(RunError, match="is no comparison"):
        read_record(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["data", "settings"])
def test_missing_settings_are_one_message(part: str, tmp_path: Path) -> None:
    plan_in(tmp_path)
    record = read_record(tmp_path)
    record[part].pop("split" if part == "data" else "training")
    (tmp_path / "comparison.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="is damaged"):
        Plan.read(tmp_path)


def test_a_summary_of_fewer_seeds_than_are_wanted_now_is_not_the_result(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    summary = dataclasses.replace(made_up_summary(), seeds=[3, 4])
    (tmp_path / "summary.json").write_text(json.dumps(summary.to_dict()))
    assert inspect_comparison(tmp_path) == summary
    plan.with_seeds(3).write()
    found = inspect_comparison(tmp_path)
    assert isinstance(found, UnfinishedComparison)
    assert found.runs == 6
    for damaged in ("{}", "[]", "{"):
        (tmp_path / "summary.json").write_text(damaged)
        with pytest.raises(RunError, match=r"summary\.json"):
            inspect_comparison(tmp_path)


def test_recorded_runs_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.json").touch()
    write_recorded(tmp_path / "out", {"a": [Run(Path("runs/a"), {})]}, [0])
    monkeypatch.chdir("/")
    assert run_folders(tmp_path / "out") == [tmp_path / "runs/a"]
    (tmp_path / "runs/a/config.json").unlink()
    with pytest.raises(RunError, match=r"runs/a, which is gone"):
        run_folders(tmp_path / "out")


def test_the_newest_is_the_last_that_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no comparison"):
        newest()
    for age, name in enumerate(("new", "old")):
        plan_in(Path("runs") / name)
        os.utime(Path("runs") / name / "comparison.json", (1e9 - age, 1e9 - age))
    write_recorded(Path("runs/recorded"), {}, [])
    assert newest() == Path("runs/new")
