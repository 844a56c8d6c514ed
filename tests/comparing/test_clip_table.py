import csv
from pathlib import Path

import pytest
import torch
from made_plans import Shelf, made_case

from convlstm_cli.comparing.case import Case
from convlstm_cli.comparing.clip_table import METRICS, write_clip_table
from convlstm_cli.comparing.scored import score_runs
from convlstm_cli.compute.device import Compute


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Case:
    return made_case(Shelf(tmp_path_factory.getbasetemp() / "shelf"), tmp_path / "out")


def test_a_row_holds_one_clip_at_one_lead_time(case: Case, tmp_path: Path) -> None:
    scored = score_runs(case, Compute(torch.device("cpu"), torch.float32), lambda *_: None)
    write_clip_table(tmp_path / "metrics.csv", case, scored)
    with (tmp_path / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(case.clips) * 3 * (2 * 2 + len(scored.baselines))
    assert list(rows[0]) == ["system", "seed", "video", "first_frame", "lead_time", *METRICS]
    for position, (video, start) in enumerate(case.clips.clips):
        [row] = [
            row
            for row in rows
            if (row["system"], row["seed"], row["video"], row["first_frame"], row["lead_time"])
            == ("mine", "1", video, str(start + 1), "3")
        ]
        for metric in METRICS:
            assert float(row[metric]) == scored.arms["mine"][1].per_clip(metric)[position, 2]
    assert {row["seed"] for row in rows if row["system"] == "persistence"} == {""}
