import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from convlstm_cli.compute import device
from convlstm_cli.compute.device import choose
from convlstm_cli.compute.distributed import Ranks
from convlstm_cli.errors import InsufficientMemoryError
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Forecaster
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.train import train
from convlstm_cli.training import memory as fitting
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig
from convlstm_cli.training.memory import check, too_large, training_memory, with_batch_size
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

MODEL = ForecasterConfig(
    32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="unconditioned", head="mix"
)
"""Without motion, which takes most of the time of a count."""
AUTO = TrainConfig(batch_size=AUTO_BATCH)
SetFree = Callable[[int | None], None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SetFree:
    return lambda count: monkeypatch.setattr(device, "free_memory", lambda _device: count)


def needed(clips: int) -> int:
    return int(fitting.WORKSPACE * training_memory(MODEL, clips))


def test_memory_grows_by_the_same_with_every_clip() -> None:
    one, two, five = (training_memory(MODEL, clips) for clips in (1, 2, 5))
    assert five - one == 4 * (two - one) > 0
    assert one > 20 * parameter_count(MODEL)


OPTIONS = {"hidden": (4, 4), "dilation": 2, "layer_norm": True, "dropout": 0.5}


@pytest.mark.parametrize(
    "change", [*({"forecaster": kind} for kind in get_args(Forecaster)), OPTIONS], ids=lambda each: str(each)[:30]
)
def test_what_is_counted_is_what_autograd_keeps_and_the_forecast(change: dict[str, Any]) -> None:
    """Against the storages of real tensors that autograd saves; functions may keep a little beside them."""
    model = dataclasses.replace(MODEL, **change)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    network = EncoderForecaster(model)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forecast = network(torch.rand(2, 4, 1, 32, 32))
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    activations = sum(storage.nbytes() for key, storage in kept.items() if key not in weights)
    found = training_memory(model, 2) - 20 * parameter_count(model) - forecast.untyped_storage().nbytes()
    assert activations <= found <= 1.1 * activations
    more = training_memory(model, 4) - training_memory(model, 2)
    assert activations <= more <= 1.2 * activations


@pytest.mark.parametrize(
    ("room", "clips", "batch"), [(8, 100, 8), (7, 100, 4), (2, 100, 2), (1, 100, 1), (1000, 100, 8), (1000, 5, 4)]
)
def test_the_largest_power_of_two_that_fits(free: SetFree, room: int, clips: int, batch: int) -> None:
    free(needed(room))
    assert with_batch_size(AUTO, [MODEL], clips, choose("cpu")).batch_size == batch


def test_of_several_networks_the_largest_decides(free: SetFree) -> None:
    free(needed(8))
    larger = dataclasses.replace(MODEL, hidden=(6,))
    assert with_batch_size(AUTO, [MODEL, larger], 100, choose("cpu")).batch_size == 4


def test_processes_and_trainings_of_a_machine_share_its_memory(free: SetFree) -> None:
    free(needed(8))
    two, far = Ranks(0, 2, 0, 2), Ranks(0, 2, 0, 1)
    assert with_batch_size(AUTO, [MODEL], 100, choose("cpu"), far).batch_size == 16
    shared = with_batch_size(AUTO, [MODEL], 100, choose("cpu"), two)
    assert shared.batch_size < 16
    check(MODEL, shared, choose("cpu"), two)
    assert with_batch_size(AUTO, [MODEL], 100, choose("cpu"), at_once=2).batch_size < 8
    # What would leave a process as many clips is of no use.
    assert "--batch-size" not in too_large(MODEL, TrainConfig(batch_size=2), 10**12, two).partition(";")[2]


def test_a_number_is_left_as_it_is_and_unknown_memory_takes_the_most(free: SetFree) -> None:
    free(None)
    given = TrainConfig(batch_size=3)
    assert with_batch_size(given, [MODEL], 100, choose("cpu")) is given
    assert with_batch_size(AUTO, [MODEL], 100, choose("cpu")).batch_size == fitting.LARGEST_ON_CPU
    assert with_batch_size(AUTO, [MODEL], 100, choose("cpu"), Ranks(1, 2)).batch_size == 2 * fitting.LARGEST_ON_CPU


def test_where_not_even_one_clip_fits(free: SetFree) -> None:
    free(needed(1) - 1)
    with pytest.raises(InsufficientMemoryError, match="--batch-size auto: not even one clip"):
        with_batch_size(AUTO, [MODEL], 100, choose("cpu"))


def test_a_training_that_cannot_fit_is_refused_with_what_does(free: SetFree) -> None:
    room = training_memory(MODEL, 64) - 1
    free(room)
    config = TrainConfig(batch_size=64, device="cpu")
    with pytest.raises(InsufficientMemoryError, match=r"--batch-size 64 with frames of 32x32 .* would fit") as told:
        check(MODEL, config, choose("cpu"))
    [batch] = (int(number) for number in re.findall(r"--batch-size (\d+), or", str(told.value)))
    assert needed(batch) <= room < needed(2 * batch)
    assert re.search(r"--size 16x16 would fit", str(told.value))
    check(MODEL, dataclasses.replace(config, batch_size=batch), choose("cpu"))
    free(None)
    check(MODEL, config, choose("cpu"))


def test_where_nothing_fits_the_message_still_says_what_to_lower(free: SetFree) -> None:
    free(1000)
    assert "lower --batch-size to 1, and --size and --hidden" in too_large(MODEL, TrainConfig(), 1000)
    every = 2  # the square root of 4 frames
    room = fitting.WORKSPACE * training_memory(MODEL, 64, every)
    assert f"--checkpoint-every {every}, or" in too_large(MODEL, TrainConfig(batch_size=64), int(room))
    assert f"--checkpoint-every {every}" not in too_large(MODEL, TrainConfig(batch_size=64), int(room) - 1)
    assert "lower --batch-size or --size" in too_large(MODEL, TrainConfig(), None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_what_an_accelerator_is_said_to_hold_fits(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    result = train(data, MODEL, TrainConfig(batch_size=AUTO_BATCH, max_steps=2), tmp_path / "run")
    assert train_config(result.run).batch_size == 32
