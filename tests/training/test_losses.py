import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from convlstm_cli.compute.device import choose
from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.train import check_options
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.losses import LOSSES, Loss, dissimilarity, over_known, relative
from convlstm_cli.training.step import TrainStep
from convlstm_cli.training.weighting import measure_of
from convlstm_cli.video.values import BYTES, ValueRange

MODEL = ForecasterConfig(16, 16, 1, hidden=(2,), kernel_size=1, input_frames=2, horizon=1)


def measured(name: str, forecast: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The loss of forecasts after a last frame of zeros."""
    return LOSSES[name].measure(forecast, truth, torch.zeros_like(truth[:, :1]))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_zero_only_at_the_truth(name: str) -> None:
    truth = torch.rand(2, 3, 1, 8, 8).round()
    assert measured(name, truth, truth).item() == pytest.approx(0.0, abs=1e-5)
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


@pytest.mark.parametrize("name", sorted({*LOSSES} - {"sharp"}))  # whose SSIM has a window
def test_a_loss_does_not_depend_on_how_many_pixels_have_no_truth(name: str) -> None:
    truth, forecast = torch.rand(2, 3, 1, 8, 8), torch.rand(2, 3, 1, 8, 8)
    last, measure = torch.rand(2, 1, 1, 8, 8), LOSSES[name].measure
    # Each frame beside another three times as large, in which no pixel has a truth.
    wide, true, before = (
        torch.cat((each, torch.rand(2, each.shape[1], 1, 8, 24)), dim=-1) for each in (forecast, truth, last)
    )
    there = (torch.arange(32) < 8).expand(true.shape)
    found = over_known(measure, wide, true, before, there)
    torch.testing.assert_close(found, measure(forecast, truth, last), rtol=1e-4, atol=1e-5)


RAIN = ValueRange(0.0, 80.0, "mm/h", log=True)
SHI = "2:2,5:5,10:10,30:30"


def config_of(name: str) -> TrainConfig:
    return TrainConfig(loss=name, device="cpu", loss_weights=SHI if LOSSES[name].weighs else None)


def test_balanced_losses_weigh_pixels_by_their_true_rain() -> None:
    """By hand, for rain rates on both sides of every threshold of Shi et al. 2017."""
    rain = torch.tensor([0.0, 1.9, 2.0, 4.9, 5.0, 9.9, 10.0, 29.9, 30.0, 80.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 1, 2, 2, 5, 5, 10, 10, 30, 30])
    truth = RAIN.to_unit(rain).float().view(1, 1, 1, 2, 5)
    forecast = torch.rand(truth.shape, generator=torch.Generator().manual_seed(0))
    error = (forecast - truth).flatten()
    squares, sizes = (weights * error.square()).mean(), (weights * error.abs()).mean()
    for name, expected in (("mse", squares), ("mae", sizes), ("mae+mse", squares + sizes)):
        found = measure_of(config_of(f"balanced-{name}"), RAIN)(forecast, truth, truth)
        torch.testing.assert_close(found, expected)


def test_weights_that_do_not_fit_are_refused() -> None:
    for loss, weights in (("balanced-mse", None), ("mse", SHI), ("balanced-mae", "5:2,2:5"), ("balanced-mae", "5")):
        with pytest.raises(UsageError, match="--loss-weights"):
            TrainConfig(loss=loss, loss_weights=weights)
    with pytest.raises(UsageError, match="--loss-weights has 30 and the values are 0 to 20 mm/h; give some above 0"):
        measure_of(config_of("balanced-mse"), ValueRange(0.0, 20.0, "mm/h"))
    with pytest.raises(UsageError, match=r"--loss-weights has 2; values of 8-bit pictures lie in \[0, 1\]"):
        measure_of(config_of("balanced-mse"), BYTES)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_for_frames_in_their_range_needs_a_head_that_keeps_it(name: str) -> None:
    residual = dataclasses.replace(MODEL, head="residual")
    if LOSSES[name].in_range:
        with pytest.raises(UsageError, match=f"--head residual .* --loss {name}"):
            check_options(residual, config_of(name))
    else:
        check_options(residual, config_of(name))


def clips(seed: int = 0, batch: int = 3, steps: int = 2, side: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """Forecast, truth and last frame."""
    random = torch.Generator().manual_seed(seed)
    shape = batch, steps, 1, side, side
    truth = torch.rand(shape, generator=random)
    forecast = (truth + 0.1 * torch.randn(shape, generator=random)).clamp(0, 1)
    return forecast, truth, torch.rand(batch, 1, 1, side, side, generator=random)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_loss_and_gradient_are_finite_where_nothing_moves(name: str, value: float) -> None:
    """The denominators vanish, and so do the variances of SSIM."""
    truth = torch.full((2, 3, 1, 8, 8), value)
    forecast = truth.clone().requires_grad_()
    loss = LOSSES[name].measure(forecast, truth, truth[:, :1])
    loss.backward()  # type: ignore[no-untyped-call]
    assert math.isfinite(loss.item())
    assert forecast.grad is not None
    assert forecast.grad.isfinite().all()


def test_relative_to_copying_a_copy_has_loss_one() -> None:
    _, truth, last = clips()
    assert relative(last.expand_as(truth), truth, last).item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("name", "power"), [("relative", 0.0), ("root-relative", 1.0), ("mse", 2.0)])
def test_contrast_counts_as_each_loss_says(name: str, power: float) -> None:
    """A tenth of the contrast leaves the loss as it is, or makes it a tenth or a hundredth."""
    forecast, truth, last = clips()
    loss = LOSSES[name].measure
    fainter = loss(0.1 * forecast, 0.1 * truth, 0.1 * last) / loss(forecast, truth, last)
    assert fainter.item() == pytest.approx(0.1**power, rel=0.03)


def test_each_clip_counts_by_its_own_change() -> None:
    """A lively clip beside a quiet one does not drown it."""
    quiet, lively = clips(seed=1, batch=1), clips(seed=2, batch=1)
    quiet = tuple(0.05 * part for part in quiet)  # type: ignore[assignment]
    both = [torch.cat(parts) for parts in zip(quiet, lively, strict=True)]
    apart = [relative(*part) for part in (quiet, lively)]
    torch.testing.assert_close(relative(*both), torch.stack(apart).mean())


def test_dissimilarity_is_that_of_torchmetrics() -> None:
    """Inside the frame: at its edges each repeats something else."""
    random = torch.Generator().manual_seed(3)
    truth = torch.nn.functional.interpolate(torch.rand(4, 1, 24, 24, generator=random), size=96, mode="bicubic")
    truth = truth.clamp(0, 1)
    forecast = (truth + 0.05 * torch.randn(truth.shape, generator=random)).clamp(0, 1)
    ours = dissimilarity(forecast[:, None], truth[:, None], truth[:, None]).item()
    theirs = structural_similarity_index_measure(forecast, truth, data_range=1.0)
    assert isinstance(theirs, Tensor)
    assert ours == pytest.approx(1 - theirs.item(), abs=0.01)
