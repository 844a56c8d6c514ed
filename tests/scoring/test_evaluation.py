import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up_evaluation import made_up_report

from convlstm_cli.compute.device import choose
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import evaluate_clips, recorded_systems
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


def test_an_untrained_residual_forecaster_is_persistence(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    model = EncoderForecaster(replace(MODEL, forecaster="unconditioned", head="residual"))
    evaluation = evaluate_clips(model, data.clips("test"), choose("cpu"), batch_size=2)
    assert evaluation.model.mse == evaluation.persistence.mse
    assert evaluation.skill == 0.0
    assert evaluation.model.clips == len(data.clips("test"))


def test_persistence_is_scored_against_the_right_frames(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    clips = torch.stack([data.clips("test")[i] for i in range(len(data.clips("test")))]).double() / 255
    expected = (clips[:, 3:4] - clips[:, 4:]).square().mean(dim=(0, 2, 3, 4))
    scores = evaluate_clips(EncoderForecaster(MODEL), data.clips("test"), choose("cpu"), batch_size=3).persistence
    assert scores.mse == pytest.approx(expected.tolist(), rel=1e-5)


def test_known_scores_of_persistence_are_taken_over(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    model, clips = EncoderForecaster(MODEL), data.clips("test")
    first = evaluate_clips(model, clips, choose("cpu"), 2, baselines=BASELINES)
    again = evaluate_clips(model, clips, choose("cpu"), 2, known=first.persistence, baselines=BASELINES)
    assert again.persistence is first.persistence
    assert list(again.systems) == list(first.systems) == ["model", *BASELINES]
    assert again.pooled() == first.pooled()


def test_recorded_scores_are_those_that_were_written() -> None:
    evaluation = made_up_report([0.005, 0.03]).evaluation
    content = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert recorded_systems(content) == evaluation.pooled()
    del content["optical_flow"]
    assert list(recorded_systems(content)) == ["model", "persistence", "linear_trend"]
