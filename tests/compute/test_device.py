import pytest
import torch

from convlstm_cli.compute.device import accelerators, choose
from convlstm_cli.errors import UsageError


def test_the_cpu_is_always_there() -> None:
    compute = choose("cpu")
    assert compute.device.type == "cpu"
    assert str(compute) == "cpu fp32"


def test_auto_takes_an_accelerator_if_there_is_one() -> None:
    expected = accelerators()[0].type if accelerators() else "cpu"
    assert choose().device.type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        choose(name)


def test_bf16_computes_in_bf16_and_returns_to_fp32() -> None:
    compute = choose("cpu", "bf16")
    with compute.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with choose("cpu", "fp32").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("found", "steps"), [({"amx_bf16": True}, "bf16"), ({"amx_bf16": False}, "fp32"), ({}, "fp32")]
)
def test_optimiser_steps_are_in_bf16_where_the_processor_multiplies_it(
    found: dict[str, bool], steps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert choose("cpu", learning=True).precision == steps
    assert choose("cpu", "fp32", learning=True).precision == "fp32"
    assert choose("cpu").precision == "fp32"  # forecasts
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert choose("cpu", learning=True).precision == "fp32"


@pytest.mark.gpu
@pytest.mark.skipif(not accelerators(), reason="no CUDA, MPS or XPU device here")
def test_a_network_runs_on_the_accelerator() -> None:
    from convlstm_cli.forecasting.inference import forecast_clip
    from convlstm_cli.nn import EncoderForecaster, ForecasterConfig

    compute = choose()
    model = EncoderForecaster(ForecasterConfig(16, 16, 1, hidden=(4,), kernel_size=3)).to(compute.device)
    frames = torch.rand(1, 3, 1, 16, 16)
    there = forecast_clip(model, frames.to(compute.device), 2, compute).cpu()
    here = forecast_clip(model.cpu(), frames, 2, choose("cpu"))
    assert torch.allclose(there, here, atol=2e-2)
