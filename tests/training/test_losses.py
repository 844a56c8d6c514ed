import dataclasses
import math

import pytest
import torch

from convlstm_cli.compute.device import choose
from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.train import check_options
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.losses import LOSSES, ROUNDING, Loss
from convlstm_cli.training.step import TrainStep

MODEL = ForecasterConfig(16, 16, 1, hidden=(2,), kernel_size=1, input_frames=2, horizon=1)


def measured(name: str, forecast: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The loss of forecasts after a last frame of zeros."""
    return LOSSES[name].measure(forecast, truth, torch.zeros_like(truth[:, :1]))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_zero_only_at_the_truth(name: str) -> None:
    truth = torch.rand(2, 3, 1, 8, 8).round()
    assert measured(name, truth, truth).item() == pytest.approx(0.0, abs=2 * ROUNDING)
    assert measured(name, truth * 0.8 + 0.1, truth).item() > 0.0
    assert measured(name, truth * math.nan, truth).isnan()
    assert measured(name, truth, truth).shape == ()


def test_losses_are_what_they_are_called() -> None:
    truth = torch.rand(2, 3, 1, 8, 8).round()
    near, far = truth * 0.8 + 0.1, 1 - truth
    torch.testing.assert_close(measured("bce", near, truth), torch.nn.functional.binary_cross_entropy(near, truth))
    assert measured("mae+mse", near, truth) == measured("mae", near, truth) + measured("mse", near, truth)
    assert measured("huber", far, truth) < measured("mae", far, truth)


def test_a_loss_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options, checks and training read the registry."""
    with pytest.raises(UsageError, match="--loss is 'fourth'; choose one of bce, "):
        TrainConfig(loss="fourth")
    fourth = Loss("fourth", "the fourth power", lambda forecast, truth, _: (forecast - truth).pow(4).mean())
    monkeypatch.setitem(LOSSES._entries, "fourth", fourth)
    config = TrainConfig(loss="fourth", device="cpu")
    clips = torch.rand(2, 3, 1, 16, 16)
    step = TrainStep(MODEL, config, choose("cpu"), None)
    with torch.no_grad():
        expected = (step.network(clips[:, :2], 1) - clips[:, 2:]).pow(4).mean()
    assert step(clips) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_for_frames_in_their_range_needs_a_head_that_keeps_it(name: str) -> None:
    residual = dataclasses.replace(MODEL, head="residual")
    if LOSSES[name].in_range:
        with pytest.raises(UsageError, match=f"--head residual .* --loss {name}"):
            check_options(residual, TrainConfig(loss=name))
    else:
        check_options(residual, TrainConfig(loss=name))
