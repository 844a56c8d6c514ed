import json
from typing import Any

import pytest
from helpers import data_record
from made_records import evaluation, scores

from convlstm_cli.runs.record import build
from convlstm_cli.runs.records import DataRecord, EpochRecord, EvaluationRecord, ResultRecord, ScoresRecord


def test_a_split_has_a_clip_in_each_part() -> None:
    record = data_record(32, 32)
    build(DataRecord, record).check_clips(20)
    with pytest.raises(ValueError, match="shorter than the 21 frames"):
        build(DataRecord, record).check_clips(21)
    record["split"]["test"] = []
    with pytest.raises(ValueError, match="is empty"):
        build(DataRecord, record).check_clips(5)
    for start, stop in ((-1, 5), (5, 5), (6, 5), (0, 21)):
        record["split"]["test"] = [{**record["split"]["train"][0], "start": start, "stop": stop}]
        with pytest.raises(ValueError, match="no part of 'a'"):
            build(DataRecord, record)
    for start, stop in ((-1, 20), (0, 19), (3, 22)):
        source = {"source_start": start, "source_stop": stop}
        record["split"]["test"] = [{**record["split"]["train"][0], **source}]
        with pytest.raises(ValueError, match="fewer than the steps"):
            build(DataRecord, record)


@pytest.mark.parametrize(
    "bad",
    [
        scores(0.1, 3),
        scores(-0.1),
        scores(None),
        {},
        scores() | {"mean": {"mse": 0.1}},
        scores(leads=0),
        scores(ssim=None),
        scores() | {"more": 1},
        scores() | {"by_lead_time": {**scores()["by_lead_time"], "ssim": [0.5]}},
    ],
)
def test_scores_have_every_lead_time(bad: dict[str, Any]) -> None:
    EvaluationRecord.from_json(evaluation())
    with pytest.raises(ValueError, match=r".+"):
        EvaluationRecord.from_json({**evaluation(), "persistence": bad})


@pytest.mark.parametrize("missing", ["skill", "model", "persistence"])
def test_an_evaluation_has_the_model_and_copying(missing: str) -> None:
    content = evaluation()
    del content[missing]
    with pytest.raises(ValueError, match=missing):
        EvaluationRecord.from_json(content)


def test_records_are_what_json_holds() -> None:
    found = EvaluationRecord.from_json(evaluation())
    assert found.to_json() == evaluation()
    assert list(found.scores) == ["model", "persistence", "another"]
    assert (found.model.mse, found.model.lead_times) == (0.1, 2)

    test = {"best_epoch": 3, "stopped": "all steps are done", "seconds": 1.5, **evaluation()}
    assert json.dumps(ResultRecord.from_json(test).to_json()) == json.dumps(test)

    row = {"epoch": 1, "steps": 3, "seconds": 1.5, "learning_rate": 0.1, "train_loss": None, "skipped_steps": 2}
    epoch = EpochRecord.from_json({**row, "validation": evaluation()})
    assert json.dumps(epoch.to_json()) == json.dumps({**row, "validation": evaluation()})
    assert epoch.validation == found


@pytest.mark.parametrize("content", [None, [], {}, {"validation": None}, {"validation": {}}, {"epoch": 1.5}])
def test_what_is_no_epoch(content: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        EpochRecord.from_json(content)


def test_a_metric_that_is_new_is_kept() -> None:
    assert build(ScoresRecord, scores(new=1.0)).by_lead_time["new"] == [1.0, 1.0]
