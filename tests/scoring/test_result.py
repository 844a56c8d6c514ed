import json

import pytest
from made_up_evaluation import made_up_report

from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.metrics import definitions


def test_the_file_holds_every_system_skill_and_clip() -> None:
    report = made_up_report([0.005, 0.012], videos=3)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [name for name in content if name in ("model", *BASELINES)] == ["model", *BASELINES]
    assert content["model"] == json.loads(json.dumps(report.evaluation.model.to_dict()))
    assert list(content["skill_against"]) == list(BASELINES)
    assert content["skill_against"]["optical_flow"]["interval"] == [0.2, 0.4]
    assert [(entry["video"], entry["clips"]) for entry in content["videos"]] == [(f"video{n}", 1) for n in range(3)]
    assert (content["clips"], content["height"], content["width"], content["channels"]) == (3, 32, 32, 3)
    assert content["definitions"] == definitions()
    assert content["crps"] is content["spread_skill"] is content["members"] is None
    assert content["worst"] == [{"video": "bad.mkv", "first_frame": 11, "mse": 0.005, "persistence_mse": 0.02}]


def test_an_interval_needs_two_videos() -> None:
    assert made_up_report([0.005], videos=2).no_interval is None
    assert "single video" in (made_up_report([0.005], videos=1, interval=None).no_interval or "")


def test_an_undefined_ratio_of_spread_is_null() -> None:
    content = made_up_report([0.005, 0.0], videos=2, spread=[0.005 * 3 / 16, 0.0]).to_dict()
    assert content["spread_skill"] == [pytest.approx(0.5, rel=1e-4), None]


def test_the_file_holds_the_scores_of_members_and_of_the_systems_beside_them() -> None:
    report = made_up_report([0.005, 0.012], spread=[0.001, 0.002])
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    members = content["members"]
    assert members["count"] == 3
    assert (members["crps"], members["spread_skill"]) == (content["crps"], content["spread_skill"])
    assert members["mse"] == pytest.approx([0.005, 0.012], rel=1e-4)
    assert len(members["ranks"]["frequencies"]) == 4
    assert members["ranks"]["test"] is None  # all videos are the same
    assert [each["threshold"] for each in members["exceedance"]] == [0.2]
    copying = members["beside"]["persistence"]
    assert (copying["count"], copying["spread_skill"], copying["ranks"]) == (1, None, None)
    assert copying["crps"] == pytest.approx([0.02**0.5] * 2, rel=1e-4)
    assert {"crps", "energy", "spread_skill", "ranks", "brier"} < set(content["definitions"])
