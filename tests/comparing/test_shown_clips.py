from pathlib import Path

import numpy as np
import pytest
import torch
from made_plans import Shelf, made_case

from convlstm_cli.comparing.case import Case
from convlstm_cli.comparing.shown_clips import SHOWN_BASELINES, shown_clips
from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.video.tensors import to_float

CPU = Compute(torch.device("cpu"), torch.float32)


@pytest.fixture
def case(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Case:
    return made_case(Shelf(tmp_path_factory.getbasetemp() / "shelf"), tmp_path / "out")


def test_the_most_the_middle_and_the_least_gain_are_shown_with_every_arms_forecast(case: Case) -> None:
    clips = len(case.clips)
    gains = np.linspace(0.5, 1.5, clips)[::-1]  # of the last clip most
    mse = {"none": np.full((2, clips, 3), 0.01), "mine": np.broadcast_to(0.01 * gains[:, None], (2, clips, 3))}
    shown = shown_clips(case, mse, CPU)
    order = [clips - 1, clips - 1 - clips // 2, 0]
    assert [(clip.video, clip.first_frame) for clip in shown] == [
        (case.clips.clips[position][0], case.clips.clips[position][1] + 1) for position in order
    ]
    for clip, position in zip(shown, order, strict=True):
        assert list(clip.rows) == ["input", "truth", *SHOWN_BASELINES, "none", "mine"]
        frames = to_float(case.clips[position][None], CPU.device)
        assert torch.equal(clip.rows["input"], frames[0, :4])
        assert torch.equal(clip.rows["truth"], frames[0, 4:])
        network = case.arms[1].runs[0].load_model(CPU.device)
        expected = forecast_members([network], frames[:, :4], 3, CPU)[0, 0]
        assert torch.equal(clip.rows["mine"], expected)


def test_clips_that_the_reference_forecasts_exactly_divide_nothing(case: Case) -> None:
    zero = np.zeros((2, len(case.clips), 3))
    assert len(shown_clips(case, {"none": zero, "mine": zero}, CPU)) == min(3, len(case.clips))
