from dataclasses import replace

from made_up import made_up_summary

from convlstm_cli.comparing.cautions import cautions
from convlstm_cli.scoring.comparison_result import ArmSummary
from convlstm_cli.scoring.scores import PooledScores

GOOD, BETTER = made_up_summary(("none", "channel"), seeds=2).arms


def copying(mse: float) -> PooledScores:
    return replace(GOOD.scores, mean=GOOD.scores.mean | {"mse": mse})


def with_best(arm: ArmSummary, epoch: int | None) -> ArmSummary:
    return replace(arm, runs=[replace(run, best_epoch=epoch) for run in arm.runs])


def test_forecasts_that_are_worth_having_and_have_settled_raise_no_caution() -> None:
    assert list(cautions([with_best(GOOD, 7), with_best(BETTER, 7)], copying(1.0))) == []


def test_forecasts_no_better_than_copying_are_named() -> None:
    arms = [with_best(GOOD, 7), with_best(BETTER, 7)]
    [caution] = cautions(arms, copying((GOOD.scores.mean_mse + BETTER.scores.mean_mse) / 2))
    assert caution.startswith("none forecasts no better than copying the last frame")
    [caution] = cautions(arms, copying(BETTER.scores.mean_mse))
    assert caution.startswith("none and channel forecast no better")


def test_trainings_that_were_still_learning_are_counted() -> None:
    [caution] = cautions([with_best(GOOD, 10), with_best(BETTER, 10)], copying(1.0))
    assert caution.startswith("The last epoch was the best of 4 of 4 trainings")
    assert list(cautions([with_best(GOOD, 10), with_best(BETTER, 7)], copying(1.0))) == []  # half is not most


def test_trainings_that_learned_by_heart_are_counted() -> None:
    [caution] = cautions([with_best(GOOD, 1), with_best(BETTER, 1)], copying(1.0))
    assert caution.startswith("The first epoch was the best of 4 of 4 trainings")


def test_one_epoch_is_the_last_and_no_sign_of_learning_by_heart() -> None:
    once = replace(GOOD, runs=[replace(run, best_epoch=1, history=run.history[:1]) for run in GOOD.runs])
    [caution] = cautions([once], copying(1.0))
    assert "still learning" in caution


def test_trainings_without_an_epoch_say_nothing() -> None:
    never = replace(GOOD, runs=[replace(run, best_epoch=None, history=[]) for run in GOOD.runs])
    assert list(cautions([never], copying(1.0))) == []
