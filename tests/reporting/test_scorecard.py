import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlstm_cli.errors import OutputError
from convlstm_cli.evaluate import evaluate
from convlstm_cli.files import check_absent
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting import scorecard
from convlstm_cli.reporting.scorecard import write_scorecard
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.result import EvaluationReport
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


@pytest.fixture
def report(make_folder: Callable[..., Path], tmp_path: Path) -> EvaluationReport:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    run = train(data, MODEL, TrainConfig(max_steps=1, device="cpu"), tmp_path / "run").run
    return evaluate([run], config=EvaluateConfig(device="cpu", thresholds=(0.2,)))


def test_every_file_is_written(report: EvaluationReport, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "evaluation"
    write_scorecard(report, folder)
    names = ["best.png", "by_lead_time.png", "evaluation.json", "report.html", "scores.csv", "worst.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "evaluation.json").read_text()) == json.loads(json.dumps(report.to_dict()))
    for name in ("worst.png", "best.png", "by_lead_time.png"):
        with Image.open(folder / name) as picture:
            assert len(np.unique(np.asarray(picture))) > 10
    assert [path.name for path in folder.parent.iterdir()] == ["evaluation"]


def test_a_row_of_the_table_for_each_clip_lead_time_and_system(report: EvaluationReport, tmp_path: Path) -> None:
    write_scorecard(report, tmp_path / "out")
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    systems = ("model", "guarded", *BASELINES)
    assert len(rows) == len(report.clips) * 3 * len(systems)
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    for system in systems:
        mine = [row for row in rows if row["system"] == system and row["lead_time"] == "2"]
        by_lead = found[system]["by_lead_time"]
        for metric in ("mse", "mse_sum", "mae", "mae_sum", "ssim"):
            assert np.mean([float(row[metric]) for row in mine]) == pytest.approx(by_lead[metric][1])
        hits, misses, alarms = (sum(int(row[f"{n}_0.2"]) for row in mine) for n in ("hits", "misses", "false_alarms"))
        assert found[system]["events"][0]["by_lead_time"]["csi"][1] == pytest.approx(hits / (hits + misses + alarms))
    last = rows[-1]
    assert int(last["frame"]) == int(last["first_frame"]) + 4 + 3 - 1
    assert float(last["mse_sum"]) == pytest.approx(float(last["mse"]) * 32 * 32)
    assert 0 < float(last["sharpness"]) < 3


def test_an_evaluation_is_never_overwritten(report: EvaluationReport, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_scorecard(report, run / "evaluation-1")
    with pytest.raises(OutputError, match="evaluation-1"):
        write_scorecard(report, run / "evaluation-1")
    with pytest.raises(OutputError, match="-o"):
        check_absent(run / "evaluation-1")


def test_a_failure_leaves_nothing(report: EvaluationReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scorecard, "write_image", full)
    with pytest.raises(OutputError, match="No space"):
        write_scorecard(report, tmp_path / "out" / "new")
    assert list((tmp_path / "out").iterdir()) == []
