import contextlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import data_record
from made_records import evaluation

from convlstm_cli.errors import OutputError, RunError, UsageError
from convlstm_cli.files import creating_folder, replacing
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.runs.folders import last_written, new_folder, newest
from convlstm_cli.runs.records import EpochRecord, EvaluationRecord, ResultRecord
from convlstm_cli.runs.run import Run
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.values import BYTES

MODEL = {"height": 16, "width": 16, "channels": 1, "hidden": [3], "kernel_size": 3}
CONFIG: dict[str, Any] = {
    "model": MODEL,
    "training": {"epochs": 2},
    "data": data_record(16, 16),
    "compute": {"device": "cpu"},
    "versions": {"torch": "2"},
}


def make(folder: Path) -> Run:
    return Run.create(folder, CONFIG)


def test_a_run_is_what_was_written(tmp_path: Path) -> None:
    make(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.config == json.loads(json.dumps(run.config))
    settings = json.loads(json.dumps(asdict(DataConfig(("/x",), 16, 16))))  # with all that was left at the defaults
    filled = {"settings": settings, "values": {**asdict(BYTES), "bands": []}, "missing": None, "guides": []}
    assert run.config["data"] == {**CONFIG["data"], **filled}
    assert [run.config[part] for part in ("compute", "versions")] == [CONFIG[part] for part in ("compute", "versions")]
    assert run.model_config == ForecasterConfig(16, 16, 1, hidden=(3,), kernel_size=3)
    assert train_config(run).epochs == 2
    assert (run.geometry.height, run.geometry.fit) == (16, "pad")


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(OutputError, match="--resume"):
        make(tmp_path / "run")


def test_weights_survive(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    network = EncoderForecaster(run.model_config)
    run.save_weights(network.state_dict())
    loaded = run.load_model(torch.device("cpu"))
    assert not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_no_weights_yet_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume"):
        make(tmp_path / "run").load_model(torch.device("cpu"))


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    run.save_weights(EncoderForecaster(run.model_config).state_dict())
    path = run.folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"model\.safetensors"):
        run.load_model(torch.device("cpu"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    run.save_weights(EncoderForecaster(ForecasterConfig(16, 16, 1, hidden=(5,), kernel_size=3)).state_dict())
    with pytest.raises(RunError, match="another network"):
        run.load_model(torch.device("cpu"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 3}', json.dumps({**CONFIG, "model": {"height": -1}})])
def test_a_damaged_config_is_named(tmp_path: Path, content: str) -> None:
    run = make(tmp_path / "run")
    (run.folder / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"config\.json"):
        Run.open(run.folder)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no config\.json"):
        Run.open(tmp_path)


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_the_run_that_may_be_meant_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("runs/radar-1")).save_weights({"a": torch.zeros(1)})
    for given in ("radar-1", "runs/rader-1", "radra-1"):
        with pytest.raises(RunError, match=r"is not a run folder; did you mean runs/radar-1\?"):
            Run.open(Path(given))
    with pytest.raises(
        RunError, match=r"runs: is no run folder, and holds some; name one of them, such as runs/radar-1\."
    ):
        Run.open(Path("runs"))


def test_a_planted_pickle_does_not_run(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    trap = tmp_path / "trapped"
    for save in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        save({"state": Planted(trap)}, run.folder / "resume.pt")
        with pytest.raises(RunError, match=r"resume\.pt"):
            run.load_resume()
        assert not trap.exists()


def test_metrics_and_results_round_trip(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    assert (run.epochs(), run.result()) == ([], None)
    validation = EvaluationRecord.from_json(evaluation())
    rows = [EpochRecord(number, 3, 1.5, 0.1, 0.2, validation) for number in (1, 2)]
    run.write_metrics(rows)
    assert run.epochs() == rows
    assert run.read_metrics() == [row.to_json() for row in rows]
    assert len((run.folder / "metrics.jsonl").read_text().splitlines()) == 2
    result = ResultRecord(None, validation.scores, 2, "all steps are done", 1.5)
    run.write_result(result)
    assert run.result() == result
    assert run.read_test() == json.loads((run.folder / "test.json").read_text())


@pytest.mark.parametrize(("name", "read"), [("metrics.jsonl", Run.epochs), ("test.json", Run.result)])
def test_damaged_scores_are_named(tmp_path: Path, name: str, read: Callable[[Run], object]) -> None:
    run = make(tmp_path / "run")
    for content in ("{", '{"epoch": 1}', "[]"):
        (run.folder / name).write_text(content)
        with pytest.raises(RunError, match=rf"{name}: cannot be read \(.+\); restore it from a copy"):
            read(run)


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    (run.folder / "samples").mkdir()
    with contextlib.ExitStack() as stack, creating_folder(run.folder / "evaluation-2") as living:
        for name in ("resume.pt", "samples/a.png"):
            partial = stack.enter_context(replacing(run.folder / name))
            shutil.copy(partial, partial.with_name(f"{partial.name}.copy"))
        dead = living.with_name(living.name.replace("-2", "-1"))
        dead.mkdir()
        (dead / ".partial-1-worst.png").write_text("half")
        run.remove_partials()
        left = {path.name for path in run.folder.rglob(".partial-*")}
        assert len(left) == 3
        assert living.name in left
        assert not any(name.endswith(".copy") for name in left)
    assert (run.folder / "config.json").exists()


def test_names_of_new_runs_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = new_folder("some/videos")
    assert first == Path("runs/videos-1")
    make(first)
    assert new_folder("some/videos/") == Path("runs/videos-2")
    assert new_folder("videos", "compare") == Path("runs/compare-videos-1")


def test_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="name a run with -o"):
        newest()
    assert last_written(trained=True) is None
    for age, name in ((100, "old"), (50, "new"), (0, "untrained")):
        run = make(Path("runs") / name)
        os.utime(run.folder / "config.json", (10**9 - age,) * 2)
        (run.folder / "resume.pt").write_text("")
        os.utime(run.folder / "resume.pt", (10**9 - age,) * 2)
        if name != "untrained":
            (run.folder / "model.safetensors").write_text("")
            os.utime(run.folder / "model.safetensors", (10**9 - age,) * 2)
    assert last_written(trained=True) == Path("runs/new")
    assert newest() == Path("runs/untrained")


def test_pictures_are_not_written_through_a_link(tmp_path: Path) -> None:
    folder = make(tmp_path / "run").folder
    (tmp_path / "elsewhere").mkdir()
    (folder / "samples").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="samples: is a link"):
        Run.open(folder)
