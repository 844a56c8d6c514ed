from pathlib import Path

import pytest
from made_plans import Shelf, made_case

from convlstm_cli.comparing.case import Case, as_json, settings_of


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Case:
    return made_case(Shelf(tmp_path_factory.getbasetemp() / "shelf"), tmp_path / "out")


def test_settings_leave_out_the_seed_and_what_changes_nothing(case: Case) -> None:
    one, other = (settings_of(run) for run in case.arms[0].runs)
    assert one == other == case.arms[0].settings
    assert {"fit", "hidden", "learning_rate"} <= one.keys()
    assert not {"seed", "device", "save_every", "checkpoint_every"} & one.keys()
    assert one["hidden"] == [4]


def test_a_case_knows_its_clips(case: Case) -> None:
    assert len(case.videos) == len(case.clips)
    assert len(set(case.videos)) == 2
    assert case.horizon == 3


def test_settings_are_as_json_holds_them() -> None:
    assert as_json({"data": {"folders": ("a", "b")}, "seed": 1}) == {"data": {"folders": ["a", "b"]}, "seed": 1}
