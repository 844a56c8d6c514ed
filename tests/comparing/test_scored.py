from pathlib import Path

import pytest
import torch
from made_plans import Shelf, made_case

from convlstm_cli.comparing.case import Case
from convlstm_cli.comparing.scored import score_runs
from convlstm_cli.compute.device import Compute
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import evaluate_clips

CPU = Compute(torch.device("cpu"), torch.float32)


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Case:
    return made_case(Shelf(tmp_path_factory.getbasetemp() / "shelf"), tmp_path / "out")


def test_every_run_is_scored_and_every_baseline_once(case: Case) -> None:
    calls: list[tuple[int, int]] = []
    scored = score_runs(case, CPU, lambda done, total: calls.append((done, total)))
    assert list(scored.arms) == ["none", "mine"]
    assert list(scored.baselines) == list(BASELINES)
    assert {scores.clips for scores in scored.baselines.values()} == {len(case.clips)}
    alone = evaluate_clips(case.arms[1].runs[1].load_model(CPU.device), case.clips, CPU, 2)
    assert scored.arms["mine"][1].mse == alone.model.mse
    assert scored.baselines["persistence"].mse == alone.persistence.mse
    assert calls[-1] == (4 * len(case.clips), 4 * len(case.clips))
    assert calls == sorted(calls)


def test_what_the_progress_raises_ends_the_scoring(case: Case) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    with pytest.raises(KeyboardInterrupt, match=f"2 of {4 * len(case.clips)}"):
        score_runs(case, CPU, stop)
