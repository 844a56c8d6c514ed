from pathlib import Path

from made_plans import plan_with

from convlstm_cli.comparing.trial import ShareProgress, is_finished
from convlstm_cli.progress import StepReport


def test_a_training_is_finished_with_its_test_and_its_report(tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    [trial, other, *_] = plan.trials()
    folder = plan.run_folder(trial)
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "test.json"):
        (folder / name).touch()
        assert not is_finished(plan, trial)
    (folder / "report.html").touch()
    assert is_finished(plan, trial)
    assert not is_finished(plan, other)


def test_of_a_step_only_the_share_is_passed_on() -> None:
    shares: list[float] = []
    ShareProgress(shares.append).stepped(StepReport(3, 1, 0.1, 8.0, 0.75, None))
    assert shares == [0.75]
