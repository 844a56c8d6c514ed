import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_plans import Shelf, made_case

from convlstm_cli.comparing.arm_summary import per_clip, summarise_arm
from convlstm_cli.comparing.case import Case, TrainedArm
from convlstm_cli.comparing.scored import Scored, score_runs
from convlstm_cli.compute.device import Compute
from convlstm_cli.nn.forecaster import parameter_count


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Case:
    return made_case(Shelf(tmp_path_factory.getbasetemp() / "shelf"), tmp_path / "out")


@pytest.fixture
def scored(case: Case) -> Scored:
    return score_runs(case, Compute(torch.device("cpu"), torch.float32), lambda *_: None)


def test_an_arm_has_its_costs_its_runs_and_what_sets_it_apart(case: Case, scored: Scored) -> None:
    none, mine = (summarise_arm(arm, case, scored.arms[arm.name]) for arm in case.arms)
    assert (none.peephole, none.differs) == ("none", {"peephole": "none"})
    assert (mine.peephole, mine.differs) == ("channel", {"peephole": "channel"})
    assert none.parameters == parameter_count(case.arms[0].model) < mine.parameters
    assert (mine.steps, mine.hidden) == (2, [4])
    assert [(run.seed, run.pair, run.steps) for run in mine.runs] == [(0, 0, 2), (1, 1, 2)]
    assert [epoch.steps for epoch in mine.runs[0].history] == [2]
    assert mine.runs[0].best_epoch == 1
    assert mine.scores.clips == 2 * len(case.clips)


def test_runs_inside_the_folder_are_named_from_there(case: Case, scored: Scored) -> None:
    inside = replace(case, folder=case.arms[0].runs[0].folder.parent)
    assert [run.folder for run in summarise_arm(case.arms[0], inside, scored.arms["none"]).runs] == ["none-0", "none-1"]
    outside = summarise_arm(case.arms[0], case, scored.arms["none"])
    assert [run.folder for run in outside.runs] == [str(run.folder) for run in case.arms[0].runs]


def test_one_seed_on_one_video_has_no_interval(case: Case, scored: Scored) -> None:
    clips = copy.copy(case.clips)
    clips.clips = case.clips.clips[:1]
    one = replace(case, seeds=(0,), arms=tuple(TrainedArm(arm.name, arm.runs[:1]) for arm in case.arms), clips=clips)
    again = score_runs(one, Compute(torch.device("cpu"), torch.float32), lambda *_: None)
    assert summarise_arm(one.arms[0], one, again.arms["none"]).intervals is None
    assert set(summarise_arm(case.arms[0], case, scored.arms["none"]).intervals or {}) == {"mse", "ssim"}


def test_metrics_of_all_runs_are_one_array(scored: Scored) -> None:
    values = per_clip(scored.arms["none"], "ssim")
    assert values.shape == (2, scored.arms["none"][0].clips, 3)
    assert values[1].tolist() == scored.arms["none"][1].per_clip("ssim").tolist()
