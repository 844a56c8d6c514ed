"""Which implementation computes a motion, and how many operations that takes on a GPU."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.motion import Search, choice, eager, estimate_motions, gaussian
from convlstm_cli.training.losses import sharp
from convlstm_cli.weights.pretrained import model_of

CUDA = torch.device("cuda:0")


def fail(*_: object) -> Any:
    raise AssertionError("a kernel was asked for")


@pytest.fixture(autouse=True)
def forget_choices() -> Any:
    choice.why_no_kernel.cache_clear()
    yield
    choice.why_no_kernel.cache_clear()


@pytest.mark.parametrize("device", ["meta", "mps", "xpu", "hpu", "privateuseone"])
def test_no_kernel_is_tried_on_a_device_without_one(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in choice.KERNELS:
        monkeypatch.setitem(choice.KERNELS, name, fail)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", fail)
    there: Any = SimpleNamespace(device=torch.device(device), dtype=torch.float32)
    assert choice.choose(there, None).advance is eager.advance
    assert choice.why_no_kernel(torch.device(device)) == f"none for {device} devices"


def test_nothing_of_cuda_is_touched_on_the_meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in choice.KERNELS:
        monkeypatch.setitem(choice.KERNELS, name, fail)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", fail)
    [motion] = estimate_motions(torch.empty(1, 4, 1, 16, 16, device="meta"), ("fine",))
    assert motion.shape == (1, 2, 16, 16)


def test_cuda_asks_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise c_kernels.NotAvailable("Triton is not installed")

    monkeypatch.setitem(choice.KERNELS, "cuda", missing)
    monkeypatch.setitem(choice.KERNELS, "cpu", fail)
    assert choice.why_no_kernel(CUDA) == "Triton is not installed"


def test_what_a_compiler_raises_is_a_reason_and_want_of_memory_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(error: Exception) -> None:
        def load() -> Any:
            raise error

        monkeypatch.setitem(choice.KERNELS, "cuda", load)
        choice.why_no_kernel.cache_clear()

    breaks(ValueError("no such instruction\nand more"))
    assert choice.why_no_kernel(CUDA) == "its self-test failed: no such instruction"
    breaks(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        choice.why_no_kernel(CUDA)


def test_no_self_test_while_a_graph_is_captured_and_one_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(choice.KERNELS, "cuda", lambda: choice.Implementation(fail, eager.enlarge, eager.advance))
    monkeypatch.setattr(choice, "first_difference", fail)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert choice.why_not_now(CUDA) is not None
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(choice, "first_difference", lambda *_: None)
    assert choice.why_not_now(CUDA) is None
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert choice.why_not_now(CUDA) is None


def test_the_self_test_minds_neither_another_default_device_nor_autocast() -> None:
    device = torch.device("cpu")
    reason = choice.why_no_kernel(device)
    for cache in (choice.why_no_kernel, gaussian._kept_matrix):
        cache.cache_clear()
    with torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
        assert choice.why_no_kernel(device) == reason
    images = torch.rand(1, 1, 5, 6)
    with torch.device("meta"):
        found = gaussian.blur(images, 1.0)
    gaussian._kept_matrix.cache_clear()
    assert torch.equal(found, gaussian.blur(images, 1.0))


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that are a launch on a GPU: all but views and allocations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and "empty" not in func.name():
            self.count += 1
        return func(*args, **(kwargs or {}))


def test_a_training_step_is_few_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        native = choice.KERNELS["cpu"]()
    except c_kernels.NotAvailable as reason:
        pytest.skip(f"no compiled kernels here: {reason}")
    launches, used = Launches(), []

    def improve(flow: Tensor, level: Tensor, search: Search) -> Tensor:
        with _disable_current_modes():
            found = native.improve(flow, level, search)
        launches.count += 1 + 7 * search.iterations  # as many as `triton_search.py` makes
        used.append("improve")
        return found

    def advance(*args: Any, **options: Any) -> Any:
        with _disable_current_modes():
            found = native.advance(*args, **options)
        launches.count += 1 if options["lead"] is None else 1 + 3 * args[3]  # as many as `triton_advance.py` makes
        used.append("advance")
        return found

    monkeypatch.setitem(choice.KERNELS, "cpu", lambda: native._replace(improve=improve, advance=advance))
    monkeypatch.setattr(choice, "first_difference", lambda *_: None)
    clips, network = torch.rand(1, 20, 1, 64, 64), EncoderForecaster(model_of("grey")).train()
    with torch.no_grad():
        network(clips[:, :10])  # which leaves the matrices of Gaussians
    used.clear()
    with launches:
        sharp(network(clips[:, :10], 10), clips[:, 10:], clips[:, 9:10]).backward()  # type: ignore[no-untyped-call]
    assert set(used) == {"improve", "advance"}
    assert launches.count < 1800
