import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from made_plans import MODEL, Shelf

from convlstm_cli.comparing.recorded import compare_runs
from convlstm_cli.errors import InputError, Interrupted, OutputError, RunError
from convlstm_cli.forecasting.ensemble import open_members
from convlstm_cli.runs.run import Run

NONE = dataclasses.replace(MODEL, peephole="none")


pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.getbasetemp() / "shelf")


def test_runs_that_differ_in_the_seed_only_are_one_arm(shelf: Shelf, tmp_path: Path) -> None:
    runs = [shelf.run("channel-1", seed=1), shelf.run("none-0", model=NONE), shelf.run("channel-0")]
    runs.append(shelf.run("none-1", model=NONE, seed=1))
    summary = compare_runs(runs, tmp_path / "out")
    assert summary.kind == "recorded"
    assert summary.folder == str(tmp_path / "out")
    assert summary.reference == "channel"  # the first that was named
    assert [[run.seed for run in arm.runs] for arm in summary.arms] == [[0, 1], [0, 1]]
    assert not any("seeds" in warning or "budgets" in warning for warning in summary.warnings)
    for arm in summary.arms:
        for run in arm.runs:
            test = json.loads((Path(run.folder) / "test.json").read_text(encoding="utf-8"))
            assert run.mse == pytest.approx(test["model"]["mean"]["mse"], rel=1e-6)
    assert (tmp_path / "out/report.html").exists()
    assert [run.folder.name for run in open_members([tmp_path / "out"])] == [
        "channel-0",
        "channel-1",
        "none-0",
        "none-1",
    ]
    with pytest.raises(OutputError, match="already"):
        compare_runs(runs, tmp_path / "out")


def test_unlike_seeds_and_budgets_are_warned_about(shelf: Shelf, tmp_path: Path) -> None:
    summary = compare_runs(
        [shelf.run("none-0", model=NONE), shelf.run("long-1", seed=1, max_steps=4)], tmp_path / "out"
    )
    assert any("seeds differ" in warning for warning in summary.warnings)
    assert any("budgets differ (optimiser steps: none 2; channel 4)" in warning for warning in summary.warnings)


def test_runs_that_read_and_forecast_more_are_cut_to_what_all_do(shelf: Shelf, tmp_path: Path) -> None:
    longer = dataclasses.replace(MODEL, input_frames=3, horizon=4)
    summary = compare_runs([shelf.run("channel-0"), shelf.run("longer", model=longer)], tmp_path / "out")
    assert (summary.input_frames, summary.horizon) == (4, 3)


def test_unlike_tests_are_refused_with_the_reason(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.run("channel-0")
    split = shelf.run("split", shelf.data(test=0.4))
    with pytest.raises(InputError, match=r"split: was not tested on the same frames .*square.*--split-seed"):
        compare_runs([first, split], tmp_path / "out")
    cropped = shelf.run("cropped", shelf.data(fit="crop"))
    with pytest.raises(InputError, match=r"has --fit pad and .* has --fit crop"):
        compare_runs([first, cropped], tmp_path / "out")
    small = dataclasses.replace(MODEL, height=16, width=16)
    sized = shelf.run("sized", shelf.data(height=16, width=16), small)
    with pytest.raises(InputError, match=r"has --size 32x32 and .* has --size 16x16"):
        compare_runs([first, sized], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_asked_to_stop_it_stops(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="scoring"):
        compare_runs(
            [shelf.run("channel-0"), shelf.run("none-0", model=NONE)], tmp_path / "o", should_stop=lambda: True
        )
    assert list(tmp_path.iterdir()) == []  # so that the same command can be given again


def test_runs_without_weights_leave_nothing(shelf: Shelf, tmp_path: Path) -> None:
    shutil.copytree(shelf.run("channel-0").folder, tmp_path / "bare")
    (tmp_path / "bare/model.safetensors").unlink()
    with pytest.raises(RunError, match="bare"):
        compare_runs([shelf.run("none-0", model=NONE), Run.open(tmp_path / "bare")], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]
