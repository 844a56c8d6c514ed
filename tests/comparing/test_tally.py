from pathlib import Path

from made_plans import Heard, plan_with

from convlstm_cli.comparing.tally import Tally
from convlstm_cli.comparing.trial import TrialResult


def test_trainings_under_way_count_by_their_share_and_ended_ones_whole() -> None:
    heard = Heard()
    tally = Tally(heard, done=1, total=4)
    one, other = list(plan_with(Path("out")).trials())[:2]
    tally.share(str(one), 0.5)
    tally.share(str(other), 0.25)
    tally.ended(one, TrialResult(steps=3, seconds=61.4, mse=0.01, copying=0.02))
    tally.share(str(other), 1.0)
    assert heard.shares[:2] == [1.5 / 4, 1.75 / 4]
    assert 2.9 / 4 < heard.shares[2] < 3 / 4  # its test and its report are still to come
    assert heard.notes == ["none, seed 0: 3 steps in 0:01:01, test MSE 0.01000, 0.500 × copying (2 of 4)"]


def test_copying_that_is_exact_is_left_out() -> None:
    heard = Heard()
    [trial, *_] = plan_with(Path("out")).trials()
    Tally(heard, 0, 1).ended(trial, TrialResult(3, 1.0, 0.01, 0.0))
    assert heard.notes == ["none, seed 0: 3 steps in 0:00:01, test MSE 0.01000 (1 of 1)"]
