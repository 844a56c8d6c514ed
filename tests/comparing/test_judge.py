import csv
import json
from pathlib import Path

import pytest
import torch
from made_plans import Shelf, made_case

from convlstm_cli.comparing.case import Case
from convlstm_cli.comparing.judge import judge
from convlstm_cli.compute.device import Compute
from convlstm_cli.errors import Interrupted
from convlstm_cli.progress import Progress
from convlstm_cli.scoring.bootstrap import difference_interval
from convlstm_cli.scoring.comparison_result import read_summary
from convlstm_cli.scoring.evaluation import evaluate_clips

CPU = Compute(torch.device("cpu"), torch.float32)


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Case:
    return made_case(Shelf(tmp_path_factory.getbasetemp() / "shelf"), tmp_path / "out")


def test_the_summary_holds_what_was_scored(case: Case) -> None:
    summary = judge(case, CPU, Progress(), lambda: False, "")
    videos = case.videos
    assert len(set(videos)) > 1
    assert (summary.clips, summary.horizon, summary.reference) == (len(videos), 3, "none")
    assert {video.video: video.clips for video in summary.videos} == {name: videos.count(name) for name in videos}
    assert summary.settings == {"data": {"folders": ["a", "b"]}}
    assert summary.warnings[0] == "known before"
    assert summary.compute == {"device": "cpu", "precision": "fp32"}

    scores = [evaluate_clips(run.load_model(CPU.device), case.clips, CPU, 2).model for run in case.arms[1].runs]
    none, mine = summary.arms
    assert [run.mse for run in mine.runs] == pytest.approx([of_seed.mean_mse for of_seed in scores])
    assert mine.scores.mean_mse == pytest.approx(sum(of_seed.mean_mse for of_seed in scores) / 2)
    assert [run.folder for run in mine.runs] == [str(run.folder) for run in case.arms[1].runs]
    assert (none.step_seconds, mine.step_seconds, mine.differs) == (0.25, None, {"peephole": "channel"})
    for metric, (least, most) in {"mse": (0.0, 1.0), "ssim": (-1.0, 1.0)}.items():
        ends = (mine.intervals or {})[metric]
        known = [value for value in mine.scores.by_lead_time[metric] if value is not None]
        assert all(least <= low <= value <= high <= most for (low, high), value in zip(ends, known, strict=True))
    [difference] = summary.differences.values()
    assert difference.mean == pytest.approx(mine.scores.mean_mse - none.scores.mean_mse)
    assert summary.verdict[0].startswith(("Mine ", "No difference between mine and the network without peepholes"))


def test_the_interval_of_these_trainings_is_the_bootstraps(case: Case) -> None:
    summary = judge(case, CPU, Progress(), lambda: False, "")
    with (case.folder / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    mse = {
        arm: torch.tensor([float(row["mse"]) for row in rows if row["system"] == arm])
        .double()
        .reshape(2, -1, 3)
        .numpy()
        for arm in ("none", "mine")
    }
    expected = difference_interval(mse["mine"], mse["none"], case.videos)
    assert summary.differences["mine"].interval_of_these_trainings == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_three_files_are_written_and_the_summary_last(case: Case) -> None:
    summary = judge(case, CPU, Progress(), lambda: False, "")
    written = {path.name: path.stat().st_mtime_ns for path in case.folder.iterdir()}
    assert set(written) == {"summary.json", "metrics.csv", "report.html"}
    assert max(written, key=lambda name: written[name]) == "summary.json"
    assert json.loads((case.folder / "summary.json").read_text(encoding="utf-8")) == summary.to_dict()
    assert summary.folder == str(case.final_folder)
    read = read_summary(case.folder)
    assert read is not None
    assert read.to_dict() == summary.to_dict()


def test_it_can_be_interrupted_and_says_how_to_go_on(case: Case) -> None:
    with pytest.raises(Interrupted, match="interrupted while scoring; type it again"):
        judge(case, CPU, Progress(), lambda: True, "type it again")
    assert not (case.folder / "summary.json").exists()
