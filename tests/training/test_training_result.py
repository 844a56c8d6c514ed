from dataclasses import replace

import pytest
from made_records import evaluation

from convlstm_cli.runs.records import EpochRecord, EvaluationRecord
from convlstm_cli.training.result import learned_by_heart

EPOCH = EpochRecord(1, 3, 0.5, 0.1, 0.2, EvaluationRecord.from_json(evaluation()))


@pytest.mark.parametrize(
    ("losses", "best", "expected"),
    [
        ((0.4, 0.3, 0.2, 0.1), 2, True),
        ((0.4, 0.3, 0.2, 0.1), 3, False),  # the best one lies in the second half
        ((0.4, 0.3, 0.3, 0.299), 2, False),  # no lower than before
        ((0.4, 0.3, 0.2), 1, False),  # too few
        ((0.4, None, 0.2, 0.1), 2, False),  # no batch of the best epoch was learned from
        ((), 0, False),
    ],
)
def test_videos_are_learned_by_heart_where_the_loss_falls_and_the_validation_does_not(
    losses: tuple[float | None, ...], best: int, expected: bool
) -> None:
    history = [replace(EPOCH, epoch=number, train_loss=loss) for number, loss in enumerate(losses, start=1)]
    assert learned_by_heart(history, best) == expected
