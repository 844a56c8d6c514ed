import dataclasses
import gc
from typing import Literal

import pytest
import torch
from fake_graphs import Devices, FakeRecorder, on_the_cpu

from convlstm_cli.compute import graphs
from convlstm_cli.compute.device import Compute, choose
from convlstm_cli.compute.graphs import SWITCH, WARM_UPS
from convlstm_cli.forecasting import inference
from convlstm_cli.forecasting.inference import forecast_chunks, forecast_clip, forecast_members
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Forecaster
from convlstm_cli.nn.noise import Noise
from convlstm_cli.video.tensors import to_float

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


def test_forecasting_leaves_the_mode_alone_and_stays_in_range() -> None:
    network = EncoderForecaster(MODEL).train()
    torch.nn.init.normal_(network.head.conv.weight, std=5.0)
    forecast = forecast_clip(network, torch.rand(1, 4, 1, 32, 32), 9, choose("cpu"))
    assert network.training
    assert forecast.shape == (1, 9, 1, 32, 32)
    assert forecast.min() >= 0.0
    assert forecast.max() <= 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pieces_are_those_of_the_clip_and_leave_their_reader_alone(dtype: torch.dtype) -> None:
    network = EncoderForecaster(MODEL).train()
    torch.nn.init.normal_(network.head.conv.weight)
    clip, compute = torch.rand(1, 4, 1, 32, 32), Compute(torch.device("cpu"), dtype)
    pieces = []
    for piece in forecast_chunks(network, clip, 9, 4, compute):
        assert network.training
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        pieces.append(piece)
    assert [piece.shape[1] for piece in pieces] == [4, 4, 1]
    assert all(piece.dtype == torch.float32 for piece in pieces)
    torch.testing.assert_close(torch.cat(pieces, dim=1), forecast_clip(network, clip, 9, compute))


def test_bytes_become_the_unit_interval() -> None:
    frames = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8), torch.device("cpu"))
    assert frames.tolist() == pytest.approx([0.0, 0.2, 1.0])


def clips(number: int, count: int = 2, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, 4, channels, 32, 32, generator=torch.Generator().manual_seed(number))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_forecasts_of_one_shape_are_captured_and_are_those_that_are_launched(
    monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    compute, network = choose("cpu", precision), EncoderForecaster(MODEL).train()  # type: ignore[arg-type]
    torch.nn.init.normal_(network.head.conv.weight)
    made, found = on_the_cpu(monkeypatch), []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        found.append([forecast_clip(network, clips(number), 5, compute) for number in range(WARM_UPS + 3)])
        assert network.training
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))  # each has memory of its own
    assert found[0][0].dtype == torch.float32
    [recorder] = made
    assert (recorder.recorded, recorder.replayed) == (1, 3)


@pytest.mark.parametrize("forecaster", ["advected", "autoregressive"])
def test_members_are_captured_too(
    monkeypatch: pytest.MonkeyPatch, forecaster: Literal["advected", "autoregressive"]
) -> None:
    compute = choose("cpu")
    model = dataclasses.replace(MODEL, noise=True, forecaster=forecaster, head="residual")
    networks = [EncoderForecaster(model) for _ in range(2)]
    for network in networks:
        torch.nn.init.normal_(network.head.conv.weight)
    made, found = on_the_cpu(monkeypatch), list[list[torch.Tensor]]()
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        found.append([])
        for number in range(WARM_UPS + 3):
            if number == WARM_UPS + 2:
                networks[0].noise_scale.mul_(0.5)  # in place, as a calibration does
            found[-1].append(forecast_members(networks, clips(number), 5, compute, members=3, seed=number))
        pieces = list(forecast_chunks(networks[0], clips(0), 5, 3, compute, seeds=(4, 5)))
        found[-1].append(torch.cat(pieces, dim=1))
        networks[0].noise_scale.fill_(1.0)
    assert found[0][0].shape == (3, 2, 5, 1, 32, 32)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.0 if one.ndim == 6 else 1e-5)
    assert [recorder.recorded for recorder in made] == [1, 1]


def test_other_weights_horizons_and_futures_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = dataclasses.replace(MODEL, forecaster="autoregressive", inputs=1, known=1)
    compute, network = choose("cpu"), EncoderForecaster(model)
    made = on_the_cpu(monkeypatch)
    for number in range(4 * (WARM_UPS + 2)):
        future = torch.rand(2, 3 + number % 2, 1, 32, 32)
        with torch.no_grad():
            network.head.conv.weight.add_(0.01)
        if number == 2 * (WARM_UPS + 2):
            network.head.conv.weight.data = network.head.conv.weight.data.clone()
        given = clips(number, channels=2)
        forecast = forecast_clip(network, given, 3 + number % 2, compute, future)
        with torch.inference_mode():
            assert torch.equal(forecast, network.eval()(given, 3 + number % 2, future=future))
    assert made[0].recorded == 4  # two horizons, and two places of the weights
    assert made[0].replayed == 8


def test_pieces_of_a_small_forecast_come_from_one_that_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    network, compute = EncoderForecaster(MODEL), choose("cpu")
    plain = torch.cat(list(forecast_chunks(network, clips(0), 9, 4, compute)), dim=1)
    made = on_the_cpu(monkeypatch)
    for _ in range(WARM_UPS + 1):
        pieces = list(forecast_chunks(network, clips(0), 9, 4, compute))
        assert [piece.shape[1] for piece in pieces] == [4, 4, 1]
        torch.testing.assert_close(torch.cat(pieces, dim=1), plain)
    assert made[0].replayed == 1


def test_large_forecasts_are_launched_and_members_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = on_the_cpu(monkeypatch)
    network = EncoderForecaster(dataclasses.replace(MODEL, noise=True))
    monkeypatch.setattr(inference, "SMALL", 2 * 2 * 32 * 32 * 7 - 1)
    forecast_members([network], clips(0), 3, choose("cpu"), members=2)
    assert not made
    forecast_members([network], clips(0), 3, choose("cpu"), members=1)
    assert len(made) == 1
    monkeypatch.setattr(inference, "SMALL", 2 * 32 * 32 * 7 - 1)
    forecast_clip(EncoderForecaster(MODEL), clips(0), 3, choose("cpu"))
    assert len(made) == 1


def test_what_is_captured_ends_with_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_cpu(monkeypatch)
    network = EncoderForecaster(MODEL)
    gc.collect()
    before = len(inference._captured)
    for _ in range(WARM_UPS + 1):
        forecast_clip(network, clips(0), 3, choose("cpu"))
    assert len(inference._captured) == before + 1
    del network
    gc.collect()
    assert len(inference._captured) == before


@pytest.mark.usefixtures("short_motion")
@pytest.mark.parametrize("forecaster", ["unconditioned", "autoregressive", "advected"])
def test_what_is_captured_has_nothing_on_the_cpu(forecaster: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(graphs.RECORDERS, "meta", FakeRecorder)
    compute = Compute(torch.device("meta"), torch.float32)
    model = ForecasterConfig(
        *(16, 16, 1), hidden=(4,), input_frames=4, horizon=3, forecaster=forecaster, head="refined", noise=True
    )
    network = EncoderForecaster(model).to("meta")
    frames = torch.empty(2, 4, 1, 16, 16, device="meta")
    drawn = [each.to("meta") for each in Noise.of([0, 1]).drawn(2, (16, 16), model.patch_size, 3)]
    captured = inference._captured_forecast(network, compute)
    with Devices() as devices, inference._inferring(network, compute):
        forecast = captured._function(frames, None, *drawn, 3, 2, ())
    assert forecast.shape == (2, 2, 3, 1, 16, 16)
    assert devices.met == {"meta"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("members", [0, 3])
def test_on_a_gpu_a_captured_forecast_is_the_one_that_is_launched(
    monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    compute = choose("cuda")
    model = ForecasterConfig(32, 32, 1, input_frames=4, horizon=3, noise=members > 0)
    network = EncoderForecaster(model).to(compute.device)
    found = []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        given = [clips(number).to(compute.device) for number in range(WARM_UPS + 3)]
        found.append(torch.stack([forecast_members([network], each, 5, compute, members=members) for each in given]))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)
    [captured] = inference._captured[network].values()
    assert captured.why_not is None
    assert len(captured._kept) == 1
