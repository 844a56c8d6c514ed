import copy
import dataclasses
import math

import pytest
import torch

from convlstm_cli.compute.device import choose
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.config import NOISE_GRID
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.training.step import TrainStep, initial_network

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
CONFIG = TrainConfig(epochs=3, epoch_steps=1, batch_size=4, device="cpu")

pytestmark = pytest.mark.usefixtures("short_motion")


def clips(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 7, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_two_halves_of_a_step_are_the_whole_and_the_first_leaves_no_trace() -> None:
    once, twice = (TrainStep(MODEL, CONFIG, choose("cpu"), None) for _ in range(2))
    before = {name: value.clone() for name, value in once.network.state_dict().items()}
    loss = once.differentiate(clips())
    assert all(torch.equal(before[name], value) for name, value in once.network.state_dict().items())
    assert once.apply(loss)
    assert twice(clips()) == loss
    for name, value in twice.network.state_dict().items():
        assert torch.equal(once.network.state_dict()[name], value)
        assert name.endswith("bias") or not torch.equal(before[name], value) or "peephole" in name


def test_the_loss_is_that_of_the_forecast_and_the_last_frame_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.Size, torch.Size, torch.Tensor]] = []
    mse = LOSSES["mse"]

    def measure(forecast: torch.Tensor, truth: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        seen.append((forecast.shape, truth.shape, last))
        return mse.measure(forecast, truth, last)

    monkeypatch.setitem(LOSSES._entries, "mse", dataclasses.replace(mse, measure=measure))
    step = TrainStep(MODEL, dataclasses.replace(CONFIG, loss="mse"), choose("cpu"), None)
    with torch.no_grad():
        expected = (step.network(clips()[:, :4], 3) - clips()[:, 4:]).square().mean().item()
    assert step(clips()) == pytest.approx(expected, rel=1e-5)
    [(forecast, truth, last)] = seen
    assert forecast == truth == (2, 3, 1, 32, 32)
    assert torch.equal(last, clips()[:, 3:4])


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_learned_from_pixels_without_values(loss: str) -> None:
    there = torch.rand(2, 7, 1, 32, 32, generator=torch.Generator().manual_seed(1)) < 0.6
    there[1, 5] = False
    model = dataclasses.replace(MODEL, head="mix") if LOSSES[loss].in_range else MODEL
    losses, gradients = [], []
    for under in (0.0, 1.0):
        filled = clips()
        filled[:, 4:][~there[:, 4:]] = under
        weights = "0.3:2,0.6:5" if LOSSES[loss].weighs else None
        config = dataclasses.replace(CONFIG, loss=loss, loss_weights=weights)
        step = TrainStep(model, config, choose("cpu"), None)
        losses.append(step.differentiate(filled, valid=there))
        gradients.append([parameter.grad for parameter in step.network.parameters()])
    assert losses[0] == losses[1] > 0
    assert all(one is other or torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_a_network_that_reads_a_mask_is_trained_with_that_of_the_clips() -> None:
    there = torch.rand(2, 7, 1, 32, 32, generator=torch.Generator().manual_seed(1)) < 0.6
    step = TrainStep(dataclasses.replace(MODEL, mask=True), CONFIG, choose("cpu"), None)
    seen: list[torch.Tensor] = []
    step.network.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    step.differentiate(clips(), valid=there)
    step.differentiate(clips())
    masked, without = seen
    assert torch.equal(masked, torch.cat((clips()[:, :4], there[:, :4].float()), dim=2))
    assert torch.equal(without, clips()[:, :4])
    gradient = step.network.get_parameter("encoder.0.weight_ih").grad
    assert gradient is not None
    assert gradient[:, MODEL.patch_channels :].abs().max() > 0


def test_the_rate_is_a_share_of_the_highest_one() -> None:
    step = TrainStep(MODEL, CONFIG, choose("cpu"), None)
    for rate in (0.5, 0.25):
        step(clips(), rate)
        kernels, *others = (group["lr"] for group in step.optimizer.param_groups)
        assert others == [rate * CONFIG.learning_rate] * 2
        assert kernels == pytest.approx(rate * CONFIG.learning_rate * 0.02 / 3e-3)


def test_weight_decay_pulls_on_kernels_alone() -> None:
    step = TrainStep(MODEL, dataclasses.replace(CONFIG, weight_decay=0.3, optimizer="adamw"), choose("cpu"), None)
    decayed, free = step.optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert {parameter.ndim for parameter in decayed["params"]} == {4}
    assert 4 not in {parameter.ndim for parameter in free["params"]}
    count = sum(1 for _ in step.network.parameters())
    assert len(decayed["params"]) + len(free["params"]) == count


def test_the_seed_decides_the_initial_network_and_given_weights_replace_it() -> None:
    one, same, other = (initial_network(MODEL, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    step = TrainStep(MODEL, CONFIG, choose("cpu"), other)
    assert all(torch.equal(value, other[name]) for name, value in step.network.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_a_state_goes_on_bit_for_bit(optimizer: str) -> None:
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    whole = TrainStep(MODEL, config, choose("cpu"), None)
    whole(clips())
    parts = TrainStep(MODEL, config, choose("cpu"), None)
    parts.load_state_dict(copy.deepcopy(whole.state_dict()))
    for step in (whole, parts):
        step(clips(3), 0.5)
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(parts.averaged.state_dict()[name], value)


def test_dropout_is_drawn_by_the_seed_and_the_number_of_the_step() -> None:
    model = dataclasses.replace(MODEL, hidden=(4, 4), dropout=0.5)
    whole = TrainStep(model, CONFIG, choose("cpu"), None)
    losses = [whole.differentiate(clips()), whole.differentiate(clips())]
    parts = [whole.differentiate(clips()[[at]], part=([at], 2)) for at in (0, 1)]
    assert losses[0] == losses[1] == pytest.approx(sum(parts) / 2)  # as in one process
    whole(clips())
    torch.manual_seed(7)  # the global state counts for nothing
    again = TrainStep(model, CONFIG, choose("cpu"), None)
    again.load_state_dict(copy.deepcopy(whole.state_dict()))
    assert again(clips()) == whole(clips())
    ours, theirs = (step.network.get_parameter("forecaster.1.weight_ih") for step in (again, whole))
    assert torch.equal(ours, theirs)


def test_the_noise_of_members_is_drawn_by_the_seed_the_step_and_the_place_in_the_batch() -> None:
    model, config = dataclasses.replace(MODEL, noise=True), dataclasses.replace(CONFIG, members=2)
    whole = TrainStep(model, config, choose("cpu"), None)
    losses = [whole.differentiate(clips()), whole.differentiate(clips())]
    parts = [whole.differentiate(clips()[[at]], part=([at], 2)) for at in (0, 1)]
    assert losses[0] == losses[1] == pytest.approx(sum(parts) / 2)  # as in one process
    whole(clips())
    torch.manual_seed(7)  # the global state counts for nothing
    again = TrainStep(model, config, choose("cpu"), None)
    again.load_state_dict(copy.deepcopy(whole.state_dict()))
    assert again(clips()) == whole(clips())
    ours, theirs = (step.network.get_parameter("forecaster.0.weight_ih") for step in (again, whole))
    assert torch.equal(ours, theirs)


def test_members_are_trained_beside_the_forecast_without_noise() -> None:
    """The noise reaches the weights, and so does the loss of the forecast without it."""
    model, config = dataclasses.replace(MODEL, noise=True), dataclasses.replace(CONFIG, members=3)
    step = TrainStep(model, config, choose("cpu"), None)
    with torch.no_grad():
        step.network.head.refinement.say.weight.normal_(std=0.1)  # type: ignore[union-attr]
    step.differentiate(clips())
    gradient = step.network.get_parameter("forecaster.0.weight_ih").grad
    assert gradient is not None
    assert gradient[:, -NOISE_GRID:].abs().amax(dim=(0, 2, 3)).min() > 0
    single = TrainStep(model, CONFIG, choose("cpu"), None)
    single.differentiate(clips())
    alone = single.network.get_parameter("forecaster.0.weight_ih").grad
    assert alone is not None
    assert alone[:, -NOISE_GRID:].abs().max() == 0


def test_weights_beyond_all_bounds_are_not_sound() -> None:
    step = TrainStep(MODEL, CONFIG, choose("cpu"), None)
    assert step.is_sound
    with torch.no_grad():
        next(step.network.parameters()).fill_(math.nan)
    assert not step.is_sound


def test_a_gradient_is_left_as_it_is_on_request() -> None:
    """RMSProp steps depend on the gradient's history alone, so after one step only clipping makes a difference."""
    clip = clips()
    moved = {}
    for norm in (0.0, 1e-12, 1e12):
        config = dataclasses.replace(CONFIG, clip_norm=norm, optimizer="rmsprop", weight_decay=0.0)
        step = TrainStep(MODEL, config, choose("cpu"), None)
        step(clip)
        moved[norm] = [parameter.clone() for parameter in step.network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(moved[0.0], moved[1e12], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(moved[0.0], moved[1e-12], strict=True))


def test_fp16_skips_a_step_and_gives_up_when_no_scale_helps() -> None:
    small = dataclasses.replace(MODEL, height=16, width=16, kernel_size=1)  # because processors are slow at fp16
    step = TrainStep(small, dataclasses.replace(CONFIG, precision="fp16"), choose("cpu", "fp16"), None)
    before = {name: tensor.clone() for name, tensor in step.network.state_dict().items()}
    clip = torch.full((1, 7, 1, 16, 16), math.inf)
    losses = [step(clip) for _ in range(30)]
    assert math.isnan(losses[-1])
    assert all(torch.equal(before[name], tensor) for name, tensor in step.network.state_dict().items())


def test_the_average_follows_the_weights() -> None:
    """Against the definition, with a decay that grows to its value; and without, it is the weights themselves."""
    config = dataclasses.replace(CONFIG, average=0.5, learning_rate=1e-2)
    clip = torch.rand(2, 7, 1, 32, 32)
    step = TrainStep(MODEL, config, choose("cpu"), None)
    expected = {name: value.clone() for name, value in step.network.state_dict().items()}
    for count in range(12):
        step(clip)
        decay = min(0.5, count / (count + 9))
        for name, value in step.network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in step.averaged.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-6), name

    plain = TrainStep(MODEL, dataclasses.replace(config, average=0.0), choose("cpu"), None)
    plain(clip)
    assert all(torch.equal(a, b) for a, b in zip(plain.averaged.parameters(), plain.network.parameters(), strict=True))


def test_a_gradient_that_is_not_finite_stays_out_of_the_weights() -> None:
    step = TrainStep(MODEL, CONFIG, choose("cpu"), None)
    before = {name: value.clone() for name, value in step.network.state_dict().items()}
    clip = torch.rand(2, 7, 1, 32, 32)
    clip[0, 0, 0, 0, 0] = float("nan")
    assert math.isnan(step(clip))
    assert all(torch.equal(before[name], value) for name, value in step.network.state_dict().items())
