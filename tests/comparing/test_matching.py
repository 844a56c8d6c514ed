import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import pytest
import torch

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.matching import CLOSE, initial_weights, match_parameters, time_steps, with_steps
from convlstm_cli.comparing.plan import Arm
from convlstm_cli.errors import Interrupted, UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.nn.kinds import Peephole
from convlstm_cli.training.batches import steps_per_epoch
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.step import initial_network
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare
from convlstm_cli.weights.pretrained import weights_of

MODEL = ForecasterConfig(32, 32, 1, hidden=(4, 4), kernel_size=3, head="mix", input_frames=4, horizon=3)


def arms(training: TrainConfig, kinds: Sequence[str] = ("none", "channel", "full")) -> list[Arm]:
    return [Arm(kind, dataclasses.replace(MODEL, peephole=kind), training) for kind in kinds]  # type: ignore[arg-type]


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)


def test_arms_share_the_initial_values_of_every_weight_they_have_in_common() -> None:
    """Also where peepholes are drawn, which moves the random numbers on for the layers after them."""
    compared = arms(TrainConfig())
    compared = [dataclasses.replace(a, model=dataclasses.replace(a.model, peephole_init="uniform")) for a in compared]
    none, channel, full = (initial_weights(compared, arm, seed=3) for arm in compared)
    assert set(none) < set(channel) == set(full)
    assert all(torch.equal(none[name], channel[name]) and torch.equal(none[name], full[name]) for name in none)
    assert all(channel[name].any() and full[name].any() for name in set(full) - set(none))
    train_draws = initial_network(compared[0].model, 3).state_dict()
    assert all(torch.equal(none[name], value) for name, value in train_draws.items())
    assert not torch.equal(
        none["encoder.0.weight_ih"], initial_weights(compared, compared[0], 4)["encoder.0.weight_ih"]
    )


def test_arms_of_other_shapes_keep_their_own_values() -> None:
    compared = arms(TrainConfig(), ("none", "channel"))
    compared[1] = dataclasses.replace(compared[1], model=dataclasses.replace(compared[1].model, hidden=(5, 4)))
    wide = initial_weights(compared, compared[1], 0)
    assert wide["encoder.0.weight_ih"].shape[0] == 20
    assert torch.equal(wide["head.conv.bias"], initial_weights(compared, compared[0], 0)["head.conv.bias"])


def test_arms_with_fewer_parameters_are_widened_to_the_largest() -> None:
    models = [arm.model for arm in arms(TrainConfig())]
    none, channel, full = match_parameters(models)
    assert full == models[2]
    target = parameter_count(full)
    for before, after in zip(models[:2], (none, channel), strict=True):
        assert abs(parameter_count(after) - target) < 0.02 * target < target - parameter_count(before)
        assert dataclasses.replace(after, hidden=before.hidden) == before


def test_a_difference_smaller_than_a_channel_is_left() -> None:
    models = [dataclasses.replace(arm.model, hidden=(32, 32)) for arm in arms(TrainConfig(), ("none", "channel"))]
    few, many = map(parameter_count, models)
    assert few < many < (1 + CLOSE) * few
    assert match_parameters(models) == models


def test_parameters_that_no_width_matches_are_refused() -> None:
    """A channel more or less is too much for so few."""
    narrow = dataclasses.replace(MODEL, hidden=(1,))
    models = [dataclasses.replace(narrow, peephole=kind) for kind in ("none", "full")]
    with pytest.raises(UsageError, match=r"--match params: of .* the network of .* comes no closer"):
        match_parameters(models)


def test_steps_are_equal_and_no_arm_stops_early(data: VideoData) -> None:
    compared = arms(TrainConfig(epochs=2, max_steps=1000, epoch_steps=1, batch_size=4))
    found = with_steps(compared, [1.0, 2.0, 3.0], CompareConfig(), data)
    per_epoch = steps_per_epoch(data.clips("train"), compared[0].training)
    assert {arm.training.max_steps for arm in found} == {2 * per_epoch}
    assert {(a.training.epochs, a.training.max_time, a.training.patience) for a in found} == {(None, None, 0)}
    assert [arm.step_seconds for arm in found] == [1.0, 2.0, 3.0]


def test_equal_time_gives_faster_arms_more_steps(data: VideoData) -> None:
    compared = arms(TrainConfig(max_steps=100))
    found = with_steps(compared, [1.0, 2.0, 4.0], CompareConfig(match="time"), data)
    assert [arm.training.max_steps for arm in found] == [400, 200, 100]


@pytest.mark.parametrize(("match", "shares"), [("steps", [1, 1, 1]), ("time", [6 / 3, 6 / 6, 6 / 9])])
def test_a_time_is_that_of_all_trainings_together(match: str, shares: list[float], data: VideoData) -> None:
    config = CompareConfig(match=match, seeds=2)  # type: ignore[arg-type]
    compared = arms(TrainConfig(max_time=60.0, epoch_steps=30, batch_size=4))
    found = with_steps(compared, [0.03, 0.06, 0.09], config, data)
    steps = [arm.training.max_steps or 0 for arm in found]
    spent = 2 * sum(number * seconds for number, seconds in zip(steps, (0.03, 0.06, 0.09), strict=True))
    assert 0.8 * 60 < spent < 60  # the rest is for validation
    assert [number / steps[1] for number in steps] == pytest.approx(shares, rel=0.02)
    for jobs, times in ((2, 2), (4, 3), (6, 6), (100, 6)):  # of 6 trainings, in whole rounds
        faster = with_steps(compared, [0.03, 0.06, 0.09], dataclasses.replace(config, jobs=jobs), data)
        assert faster[0].training.max_steps == pytest.approx(times * steps[0], abs=times)


def test_arms_of_unlike_epochs_still_make_equal_steps(data: VideoData) -> None:
    one, other = arms(TrainConfig(epochs=1, epoch_steps=1, batch_size=2), ("none", "channel"))
    other = dataclasses.replace(other, training=dataclasses.replace(other.training, batch_size=4))
    found = with_steps([one, other], [1.0, 1.0], CompareConfig(), data)
    assert {arm.training.max_steps for arm in found} == {steps_per_epoch(data.clips("train"), other.training)}


def test_steps_are_timed_on_the_very_trainings(data: VideoData) -> None:
    timed = arms(TrainConfig(batch_size=4, device="cpu"))
    with pytest.raises(Interrupted):
        time_steps(data, timed, 0, lambda: True)
    seconds = time_steps(data, timed, 0)
    assert len(seconds) == 3
    assert min(seconds) > 0


def test_zero_peepholes_start_as_the_plain_network() -> None:
    frames = torch.rand(2, 4, 1, 32, 32)
    none = initial_network(dataclasses.replace(MODEL, peephole="none"), 0)
    channel = initial_network(MODEL, 1)
    torch.nn.init.normal_(none.head.conv.weight)
    channel.load_state_dict({**channel.state_dict(), **none.state_dict()})
    assert torch.equal(none(frames), channel(frames))
    assert parameter_count(none.config) < parameter_count(channel.config)


def test_arms_that_start_from_given_weights_share_all_but_the_peepholes() -> None:
    training = TrainConfig(init="pretrained", max_steps=1, device="cpu")
    given = [Arm(kind, ForecasterConfig(16, 16, 1, peephole=kind), training) for kind in get_args(Peephole)]
    for arm in given:
        for name, value in initial_weights(given, arm, seed=0).items():
            assert torch.equal(value, torch.zeros_like(value) if "peephole" in name else weights_of("grey")[name]), name
    with pytest.raises(UsageError, match="--init pretrained: --hidden"):
        initial_weights(given, dataclasses.replace(given[0], model=ForecasterConfig(16, 16, 1, hidden=(4,))), seed=0)
