import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_nothing, moving_square

from convlstm_cli.compute.device import choose
from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.evaluate import evaluate
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.result import EvaluationReport
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare
from convlstm_cli.video.values import ValueRange

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


pytestmark = pytest.mark.usefixtures("short_motion_throughout")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, short_motion_throughout: None) -> Path:  # noqa: ARG001
    """A run with forecasts of its own, trained once on 8 videos of 24 frames: two are its test."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "videos").mkdir()
    for index in range(8):
        np.save(folder / "videos" / f"square{index}.npy", moving_square(24, seed=index))
    data = prepare(DataConfig((str(folder / "videos"),), height=32, width=32, test=0.25), 4, 3)
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        train(data, MODEL, TrainConfig(max_steps=2, learning_rate=0.02, device="cpu"), folder / "run")
    return folder / "run"


@pytest.fixture
def run(trained: Path) -> Run:
    return Run.open(trained)


@pytest.fixture(scope="module")
def report(trained: Path) -> EvaluationReport:
    """The run on the videos of its test."""
    return evaluate([Run.open(trained)], config=EvaluateConfig(device="cpu"))


def test_training_scores_its_test_beside_every_baseline(run: Run) -> None:
    test = run.read_test()
    assert test is not None
    for name in ("model", *BASELINES):
        assert len(test[name]["by_lead_time"]["mse"]) == 3
        assert test[name]["clips"] == test["model"]["clips"]
    assert test["skill"] == pytest.approx(1 - test["model"]["mean"]["mse"] / test["persistence"]["mean"]["mse"])
    assert set(run.read_metrics()[0]["validation"]) == {"skill", "model", "persistence"}


def test_an_evaluation_without_folders_is_that_of_training_and_so_is_one_of_its_folder(run: Run) -> None:
    test = run.read_test()
    assert test is not None
    known: list[str] = run.config["data"]["settings"]["folders"]
    for folders in ([], known):
        report = evaluate([run], folders, EvaluateConfig(device="cpu", batch_size=3))
        found = report.to_dict()
        for name in ("model", *BASELINES):
            assert found[name]["mean"] == pytest.approx(test[name]["mean"], rel=1e-5)
        assert found["clips"] == test["model"]["clips"] == len(report.clips)
        assert len(report.left_out) == (6 if folders else 0)
    assert report.no_interval is None
    json.dumps(found, allow_nan=False)


def test_every_clip_is_scored_as_it_would_be_alone(run: Run) -> None:
    report = evaluate([run], config=EvaluateConfig(device="cpu", frames=5, stride=2, batch_size=4))
    model = run.load_model(torch.device("cpu"))
    assert {start for _, start in report.clips} == set(range(0, 24 - 9 + 1, 2))
    frames = {video.name: np.load(video.path) for video in report.videos}
    for position in (0, len(report.clips) - 1):
        name, start = report.clips[position]
        clip = torch.from_numpy(frames[name][start : start + 9]).permute(0, 3, 1, 2)[None].float() / 255
        error = forecast_clip(model, clip[:, :4], 5, choose("cpu")) - clip[:, 4:]
        mine = report.evaluation.model.per_clip("mse")[position]
        assert mine == pytest.approx(error.square().mean(dim=(0, 2, 3, 4)).tolist(), rel=1e-4)


def test_the_skills_are_those_of_the_pooled_scores(report: EvaluationReport) -> None:
    found = report.to_dict()
    for name in BASELINES:
        ratio = found["model"]["mean"]["mse"] / found[name]["mean"]["mse"]
        assert found["skill_against"][name]["mean"] == pytest.approx(1 - ratio)
        low, high = found["skill_against"][name]["interval"]
        assert low <= 1 - ratio <= high
        assert len(found["skill_against"][name]["interval_by_lead_time"]) == 3


def test_the_worst_and_best_clips_are_those_by_their_ratio(report: EvaluationReport) -> None:
    scores = report.evaluation
    ratios = scores.model.per_clip("mse").mean(axis=1) / scores.persistence.per_clip("mse").mean(axis=1)
    for shown, position in ((report.worst[0], int(ratios.argmax())), (report.best[0], int(ratios.argmin()))):
        assert (shown.video, shown.first_frame - 1) == report.clips[position]
        assert shown.mse / shown.persistence_mse == pytest.approx(ratios[position])
        assert list(shown.rows) == ["input", "truth", "model", "guarded", *BASELINES]
        error = (shown.rows["model"] - shown.rows["truth"]).square().mean()
        assert float(error) == pytest.approx(shown.mse, rel=1e-4)
    assert len(report.worst) == len(report.best) == 3
    assert not {(c.video, c.first_frame) for c in report.worst} & {(c.video, c.first_frame) for c in report.best}


def test_the_guarded_forecast_is_scored_beside_the_plain_one(run: Run, report: EvaluationReport) -> None:
    plain = evaluate([run], config=EvaluateConfig(device="cpu", guard=False))
    with_guard, without = report.to_dict(), plain.to_dict()
    assert "guarded" not in without
    assert list(plain.worst[0].rows) == ["input", "truth", "model", *BASELINES]
    for name in ("model", *BASELINES):
        assert with_guard[name] == without[name]
    assert with_guard["guarded"]["clips"] == with_guard["clips"]
    shown = report.worst[0]
    scores = report.evaluation.guarded
    assert scores is not None
    position = report.clips.index((shown.video, shown.first_frame - 1))
    error = (shown.rows["guarded"] - shown.rows["truth"]).square().mean(dim=(1, 2, 3))
    assert scores.per_clip("mse")[position] == pytest.approx(error.tolist(), rel=1e-4)


def test_an_ensemble_is_scored_by_its_mean_and_its_spread(run: Run, report: EvaluationReport, tmp_path: Path) -> None:
    other = Run.create(tmp_path / "other", run.config)
    weights = run.load_model(torch.device("cpu")).state_dict()
    other.save_weights({name: value + 0.05 * torch.randn_like(value) for name, value in weights.items()})
    config = EvaluateConfig(device="cpu")
    both = evaluate([run, other], config=config)
    frames, truth = (
        torch.cat([row.rows[name] for row in both.worst]).view(len(both.worst), -1, 1, 32, 32)
        for name in ("input", "truth")
    )
    models = [member.load_model(torch.device("cpu")) for member in (run, other)]
    members = torch.stack([forecast_clip(model, frames, 3, choose("cpu")) for model in models])
    shown = torch.stack([row.rows["model"] for row in both.worst])
    torch.testing.assert_close(shown, members.mean(dim=0))
    assert [row.mse for row in both.worst] == pytest.approx(
        (shown - truth).square().mean(dim=(1, 2, 3, 4)).tolist(), rel=1e-4
    )
    found = both.to_dict()
    assert found["members"]["count"] == 2
    assert all(ratio > 0 for ratio in found["spread_skill"])
    assert report.to_dict()["spread_skill"] is None
    twice = evaluate([run, run], config=config).to_dict()
    assert twice["spread_skill"] == [0.0, 0.0, 0.0]
    assert twice["crps"] == pytest.approx(twice["model"]["by_lead_time"]["mae"], rel=1e-4)
    assert twice["model"]["mean"]["mse"] == pytest.approx(report.evaluation.model.mean_mse)


def test_runs_of_other_frames_make_no_ensemble(run: Run, tmp_path: Path) -> None:
    settings = {**run.config["data"], "settings": {**run.config["data"]["settings"], "fit": "crop"}}
    other = Run.create(tmp_path / "other", {**run.config, "data": settings})
    with pytest.raises(UsageError, match="other"):
        evaluate([run, other])
    with pytest.raises(UsageError, match="no run"):
        evaluate([])


def test_one_video_has_scores_and_no_interval(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "new.npy", moving_square(12, seed=70))
    report = evaluate([run], [str(tmp_path / "new.npy")], EvaluateConfig(device="cpu", frames=8))
    found = report.to_dict()
    assert found["clips"] == 1
    assert found["skill_against"]["optical_flow"]["interval"] is None
    assert "single video" in found["interval"]["missing"]
    assert report.worst[0].to_dict() == report.best[0].to_dict()


def test_videos_without_any_value_are_one_error(run: Run, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).uniform(0, 9, (24, 32, 32)).astype(np.float32)
    frames[4:] = np.nan
    np.save(tmp_path / "gone.npy", frames)
    run.config["data"]["values"] = vars(ValueRange(0.0, 9.0))
    with pytest.raises(InputError, match=r"gone\.npy: no pixel of the frames to score has a value"):
        evaluate([run], [str(tmp_path / "gone.npy")], EvaluateConfig(device="cpu", frames=20))


def test_clips_longer_than_what_was_held_out_are_one_error(run: Run) -> None:
    with pytest.raises(InputError, match=r"takes 104 frames; the longest has 24.*--frames"):
        evaluate([run], config=EvaluateConfig(frames=100))


def test_large_frames_are_shown_smaller(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlstm_cli.evaluate.PICTURED_SIDE", 16)
    monkeypatch.setattr("convlstm_cli.evaluate.PICTURED_FRAMES", 2)
    shown = evaluate([run], config=EvaluateConfig(device="cpu")).worst[0]
    assert {frames.shape for frames in shown.rows.values()} == {(2, 1, 16, 16)}


def test_settings_are_written_resolved(report: EvaluationReport) -> None:
    assert (report.config.frames, report.config.stride) == (3, 3)
    assert dataclasses.asdict(report.config) == report.to_dict()["settings"]
