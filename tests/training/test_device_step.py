"""Steps that are decided and captured on the device: on the CPU with a recorder that needs no GPU, and on a GPU."""

import copy
import dataclasses
import gc
import math
import weakref
from typing import Any

import pytest
import torch
from fake_graphs import Devices, FakeRecorder, on_the_cpu
from torch import Tensor

from convlstm_cli.compute import graphs
from convlstm_cli.compute.device import Compute, choose
from convlstm_cli.compute.graphs import SWITCH, WARM_UPS
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.training.step import TrainStep

MODEL = ForecasterConfig(
    16, 16, 1, hidden=(4, 3), kernel_size=3, input_frames=3, horizon=2, forecaster="unconditioned", head="mix"
)
CONFIG = TrainConfig(batch_size=2, device="cpu", init="none", average=0.9, weight_decay=0.1)
STEPS = WARM_UPS + 4


def clips(number: int, count: int = 2) -> Tensor:
    return torch.rand(count, 5, 1, 16, 16, generator=torch.Generator().manual_seed(number))


def state(step: TrainStep) -> dict[str, Tensor]:
    """All that a step changes."""
    moments = {
        f"moment {index} {name}": value
        for index, kept in enumerate(step.optimizer.state.values())
        for name, value in kept.items()
    }
    average = {f"average {name}": value for name, value in step._average.state_dict().items()}
    return {**step.network.state_dict(), **average, **moments}


def assert_alike(one: TrainStep, other: TrainStep, **tolerance: float) -> None:
    first, second = state(one), state(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        if tolerance:
            torch.testing.assert_close(value, second[name], **tolerance)  # type: ignore[arg-type]
        else:
            assert torch.equal(value, second[name]), name


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeRecorder]:
    return on_the_cpu(monkeypatch)


def losses(step: TrainStep, **more: Any) -> list[float]:
    """Those of steps on different clips, at different rates; the last batch of three is smaller, as in epochs."""
    return [step(clips(number, 1 if number % 3 == 2 else 2), 1.0 / (1 + number), **more) for number in range(2 * STEPS)]


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_steps_on_the_device_are_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """But for rounding, because rates are tensors."""
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    plain = TrainStep(MODEL, config, choose("cpu"), None)
    assert plain.waits
    expected = losses(plain)
    made = on_the_cpu(monkeypatch)
    step = TrainStep(MODEL, config, choose("cpu"), None)
    assert not step.waits
    assert losses(step) == pytest.approx(expected, rel=1e-4)
    assert_alike(plain, step, rtol=1e-3, atol=1e-4)
    assert made[-1].recorded == 2  # one for each size of batch
    assert made[-1].replayed == 2 * STEPS - 2 * WARM_UPS


MEMBERS = ForecasterConfig(
    16, 16, 1, hidden=(4, 3), input_frames=3, horizon=2, forecaster="advected", head="refined", noise=True
)
FED = ForecasterConfig(16, 16, 1, hidden=(4, 3), input_frames=3, horizon=2, forecaster="autoregressive", dropout=0.5)


@pytest.mark.parametrize(
    ("model", "config", "feeding"),
    [
        (MODEL, {}, 0.0),
        (dataclasses.replace(MODEL, dropout=0.5), {}, 0.0),
        (FED, {"scheduled_sampling": 0.5}, 0.5),
        (MODEL, {"checkpoint_every": 1}, 0.0),
        (MODEL, {"loss": "balanced-mae+mse", "loss_weights": "0.2:2,0.6:5"}, 0.0),
        (MODEL, {"clip_norm": 0.0, "average": 0.0}, 0.0),
        (dataclasses.replace(MODEL, dilation=2, layer_norm=True), {}, 0.0),
        (MEMBERS, {"members": 2}, 0.0),
        (dataclasses.replace(FED, noise=True), {"members": 2, "scheduled_sampling": 0.5}, 0.5),
    ],
    ids=[
        "default",
        "dropout",
        "fed",
        "checkpoints",
        "weights",
        "no clipping",
        "step by step",
        "members",
        "all at once",
    ],
)
def test_a_captured_step_is_the_step_that_is_launched(
    made: list[FakeRecorder],
    monkeypatch: pytest.MonkeyPatch,
    model: ForecasterConfig,
    config: dict[str, Any],
    feeding: float,
) -> None:
    """Bit for bit, with all that is drawn for each step."""
    both = []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        step = TrainStep(model, dataclasses.replace(CONFIG, **config), choose("cpu"), None)
        both.append((losses(step, feeding=feeding), step))
    (captured, one), (launched, other) = both
    assert captured == launched
    assert len(set(captured)) == len(captured)
    assert_alike(one, other)
    assert made[-1].replayed > 0


def test_missing_pixels_are_copied_in_too(made: list[FakeRecorder], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        step = TrainStep(dataclasses.replace(MODEL, mask=True), CONFIG, choose("cpu"), None)
        for number in range(2 * STEPS):
            there = clips(number + 100) < 0.7 if number % 2 else None
            found.append(step.end(step.begin(clips(number), valid=there))().loss)
    assert found[: 2 * STEPS] == found[2 * STEPS :]
    assert made[-1].recorded == 2  # with and without


def test_members_on_the_device_are_those_of_the_cpu_and_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise of a step is what it is without a device, also after a resume."""
    config = dataclasses.replace(CONFIG, members=2)
    plain = TrainStep(MEMBERS, config, choose("cpu"), None)
    expected = [plain(clips(number)) for number in range(2 * STEPS)]
    made = on_the_cpu(monkeypatch)
    step, resumed = (TrainStep(MEMBERS, config, choose("cpu"), None) for _ in range(2))
    assert [step(clips(number)) for number in range(STEPS)] == pytest.approx(expected[:STEPS], rel=1e-4)
    resumed.load_state_dict(copy.deepcopy(step.state_dict()))
    later = [[each(clips(number)) for number in range(STEPS, 2 * STEPS)] for each in (step, resumed)]
    assert later[0] == later[1]
    assert later[0] == pytest.approx(expected[STEPS:], rel=1e-3)
    assert made[0].replayed == 2 * STEPS - WARM_UPS


@pytest.mark.usefixtures("short_motion")
@pytest.mark.parametrize("model", [MEMBERS, ForecasterConfig(16, 16, 1, hidden=(4,), input_frames=3, horizon=2)])
def test_what_is_captured_has_nothing_on_the_cpu(model: ForecasterConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a step, the optimiser's part as well."""
    monkeypatch.setitem(graphs.RECORDERS, "meta", FakeRecorder)
    config = dataclasses.replace(CONFIG, members=2 * model.noise)
    step = TrainStep(model, config, Compute(torch.device("meta"), torch.float32), None)
    batch = step.begin(clips(0).to("meta")).batch
    assert (batch.drawn is not None) == model.noise
    assert step._on_device is not None
    with Devices() as devices:
        step._on_device._learn(*batch)
    assert devices.met == {"meta"}


@pytest.mark.parametrize("at", [0, 1, WARM_UPS, STEPS - 1])
@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_a_gradient_that_is_not_finite_leaves_no_trace(made: list[FakeRecorder], optimizer: str, at: int) -> None:
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    step = TrainStep(MODEL, config, choose("cpu"), None)
    for number in range(STEPS):
        before = {name: value.clone() for name, value in state(step).items()}
        given = clips(number)
        if number == at:
            given[0, 0, 0, 0, 0] = math.nan
        loss = step(given)
        assert math.isnan(loss) == (number == at)
        if number == at:
            for name, value in state(step).items():
                assert torch.equal(value, before.get(name, torch.zeros_like(value))), name
    assert made[-1].replayed > 0
    assert all(value.isfinite().all() for value in state(step).values())


def test_a_step_that_was_begun_and_left_leaves_no_trace(made: list[FakeRecorder]) -> None:
    one, other = (TrainStep(MODEL, CONFIG, choose("cpu"), None) for _ in range(2))
    for number in range(STEPS):
        one.begin(clips(number + 50))
        assert one(clips(number)) == other(clips(number))
    assert_alike(one, other)
    assert made[0].replayed > 0


def test_outcomes_are_those_of_their_steps_however_late_they_are_asked_for(made: list[FakeRecorder]) -> None:
    one, other = (TrainStep(MODEL, CONFIG, choose("cpu"), None) for _ in range(2))
    pending = [one.end(one.begin(clips(number))) for number in range(STEPS)]
    assert [outcome().loss for outcome in pending] == [other(clips(number)) for number in range(STEPS)]
    assert made[0].replayed > 0


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_a_state_goes_on_bit_for_bit_and_is_that_of_any_device(
    made: list[FakeRecorder], monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    whole = TrainStep(MODEL, config, choose("cpu"), None)
    losses(whole)
    saved = copy.deepcopy(whole.state_dict())
    assert all(isinstance(group["lr"], float) for group in saved["optimizer"]["param_groups"])
    parts = TrainStep(MODEL, config, choose("cpu"), None)
    parts(clips(3))  # its graphs and moments are another's
    parts.load_state_dict(copy.deepcopy(saved))
    for number in range(STEPS):
        assert whole(clips(number), 0.5) == parts(clips(number), 0.5)
    assert_alike(whole, parts)
    assert made[-1].replayed > 0
    monkeypatch.undo()
    elsewhere = TrainStep(MODEL, config, choose("cpu"), None)
    assert elsewhere.waits
    elsewhere.load_state_dict(saved)
    assert elsewhere(clips(0), 0.5) > 0


def test_going_back_to_before_the_first_step_begins_anew(made: list[FakeRecorder]) -> None:
    """An optimiser makes its moments in the first step, which is never captured."""
    step = TrainStep(MODEL, dataclasses.replace(CONFIG, optimizer="adamw"), choose("cpu"), None)
    begun = copy.deepcopy(step.state_dict())
    first = losses(step)
    step.load_state_dict(begun)
    assert losses(step) == first
    assert [recorder.recorded for recorder in made[-2:]] == [2, 2]


def test_fp16_is_launched_and_a_note_says_why(made: list[FakeRecorder]) -> None:
    notes: list[str] = []
    TrainStep(MODEL, CONFIG, choose("cpu", "fp16"), None, note=notes.append)(clips(0))
    assert not made
    assert notes == ["optimiser steps are launched one by one: fp16, and several processes, have no CUDA graphs"]


def test_the_memory_of_graphs_goes_with_the_step(made: list[FakeRecorder]) -> None:
    """At once, and not when Python happens to look for cycles: the next training needs it."""
    assert not made
    gc.disable()
    try:
        step = TrainStep(MODEL, CONFIG, choose("cpu"), None)
        losses(step)
        assert step._on_device is not None
        graphs = weakref.ref(step._on_device.captured)
        del step
        assert graphs() is None
    finally:
        gc.enable()


def test_a_capture_that_fails_changes_nothing_but_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notes = [], list[str]()
    for error in (None, RuntimeError("CUDA error: operation not permitted when stream is capturing")):
        on_the_cpu(monkeypatch, error)
        step = TrainStep(MODEL, CONFIG, choose("cpu"), None, note=notes.append)
        found.append(losses(step))
        assert step.warm_ups == (WARM_UPS + 1 if error is None else 1)
    assert found[0] == found[1]
    assert len(notes) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("optimizer", OPTIMISERS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("members", [0, 2])
def test_on_a_gpu_a_captured_step_is_the_step_that_is_launched(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, precision: Any, members: int
) -> None:
    """Up to the rounding of sums whose order a GPU does not fix."""
    notes: list[str] = []
    compute = choose("cuda", precision)
    both = []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        config = dataclasses.replace(CONFIG, device="cuda", optimizer=optimizer, members=members)
        step = TrainStep(
            ForecasterConfig(16, 16, 1, hidden=(4, 3), input_frames=3, horizon=2, noise=members > 0),
            config,
            compute,
            None,
            note=notes.append,
        )
        given = [clips(number, 1 if number % 3 == 2 else 2).to(compute.device) for number in range(2 * STEPS)]
        both.append(([step(each) for each in given], step))
    assert not notes
    (captured, one), (launched, _) = both
    assert one._on_device is not None
    assert len(one._on_device.captured._kept) == 2
    assert captured == pytest.approx(launched, rel=2e-2 if precision == "bf16" else 2e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_a_state_goes_on_and_what_is_not_finite_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    compute, config = choose("cuda", "fp32"), dataclasses.replace(CONFIG, device="cuda")
    whole = TrainStep(MODEL, config, compute, None)
    for number in range(STEPS):
        whole(clips(number).to(compute.device))
    before = {name: value.clone() for name, value in state(whole).items()}
    assert math.isnan(whole(torch.full((2, 5, 1, 16, 16), math.nan, device=compute.device)))
    assert all(torch.equal(value, before[name]) for name, value in state(whole).items())
    parts = TrainStep(MODEL, config, compute, None)
    parts.load_state_dict(copy.deepcopy(whole.state_dict()))
    for number in range(STEPS):
        given = clips(number).to(compute.device)
        assert whole(given) == pytest.approx(parts(given), rel=2e-3)
