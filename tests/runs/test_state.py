import math
from typing import Any

import pytest
from made_records import evaluation

from convlstm_cli.runs.records import EpochRecord, EvaluationRecord
from convlstm_cli.runs.state import State
from convlstm_cli.settings import MAX_COUNT

EPOCH = EpochRecord(1, 3, 0.5, 0.1, 0.2, EvaluationRecord.from_json(evaluation()))


def state() -> State:
    return State(epoch=1, position=4, steps=7, seconds=2.0, loss_sum=1.5, skipped=1, best_epoch=1, history=[EPOCH])


def test_a_state_comes_back_as_it_was() -> None:
    assert State.from_plain(state().to_plain()) == state()
    assert State.from_plain(State().to_plain()) == State()
    assert state().to_plain()["history"] == [EPOCH.to_json()]
    assert state().mean_loss == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": -1},
        {"steps": MAX_COUNT + 1},
        {"steps": 1.0},
        {"seconds": math.nan},
        {"loss_sum": math.inf},
        {"best_mse": math.nan},
        {"best_epoch": 2},
        {"history": []},
        {"history": [{}]},
        {"added": 1},
    ],
)
def test_what_no_training_has_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        State.from_plain({**state().to_plain(), **changes})


def test_what_is_missing_is_named_unless_it_was_added_later() -> None:
    content = state().to_plain()
    del content["skipped"]
    assert State.from_plain(content).skipped == 0
    del content["steps"]
    with pytest.raises(ValueError, match="there is no steps"):
        State.from_plain(content)
