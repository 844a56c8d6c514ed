"""`Convolution` against torch's own in float64, by every way that it has."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import convolution as convolutions
from convlstm_cli.nn import winograd
from convlstm_cli.nn.convolution import Convolution, takes_winograd


def off(patch: pytest.MonkeyPatch, *, packs: bool = True) -> None:
    """Without tiles and, unless `packs`, without packed weights."""
    patch.setattr(winograd, "why_not", lambda: "switched off")
    if not packs:
        patch.setattr(convolutions, "can_pack", lambda _dtype: False)


def turned(patch: pytest.MonkeyPatch) -> None:
    off(patch, packs=False)
    patch.setattr(convolutions, "TURNED", {"cpu": (torch.float32, torch.float64, torch.bfloat16)})


WAYS: dict[str, tuple[bool, Callable[[pytest.MonkeyPatch], None]]] = {
    "as chosen": (True, lambda _patch: None),
    "packed weights": (True, off),
    "plain, channels together": (True, lambda patch: off(patch, packs=False)),
    "plain, gradients as on a GPU": (True, turned),
    "plain, positions together": (False, lambda patch: off(patch, packs=False)),
}
"""Whether channels lie together, and what is switched off."""


def tensors(
    sizes: tuple[int, int, int], kernel: tuple[int, int], padding: tuple[int, int], dtype: torch.dtype, last: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames (N, in, 9, 11), a weight and a gradient to the output; `sizes` are N, in and out."""
    batch, fan_in, out = sizes
    generator = torch.Generator().manual_seed(0)
    order = torch.channels_last if last else torch.contiguous_format

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).contiguous(memory_format=order)

    height, width = 9 + 2 * padding[0] - kernel[0] + 1, 11 + 2 * padding[1] - kernel[1] + 1
    return draw(batch, fan_in, 9, 11), draw(out, fan_in, *kernel), draw(batch, out, height, width)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    ("channels", "kernel", "same"),
    [
        ((3, 64), (3, 3), True),
        ((16, 64), (5, 5), True),
        ((1, 64), (3, 3), True),
        ((32, 128), (3, 3), True),
        ((5, 20), (3, 1), True),
        ((16, 64), (3, 3), False),
    ],
)
def test_output_and_gradients(
    way: str,
    dtype: torch.dtype,
    channels: tuple[int, int],
    kernel: tuple[int, int],
    same: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last, switch = WAYS[way]
    switch(monkeypatch)
    padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
    frames, weight, gradient = tensors((10, *channels), kernel, padding, dtype, last)
    bias = torch.linspace(-1.0, 1.0, channels[1], dtype=dtype)
    ours = Convolution(weight, padding, dtype, (9, 11), channels_last=last)

    x, w = frames.double().requires_grad_(), weight.double().requires_grad_()
    exact = F.conv2d(x, w, padding=padding)
    grad_x, grad_w = torch.autograd.grad(exact, (x, w), gradient.double())
    total = gradient.clone(memory_format=torch.preserve_format)
    ours.add_output(total, frames)
    assert ours.weight_gradient() is None
    for _ in range(2):
        ours.add_weight_gradient(gradient, frames)
    summed = ours.weight_gradient()
    assert summed is not None
    assert summed.dtype == torch.promote_types(dtype, torch.float32)
    exact = exact.detach()
    results = [
        (ours.output(frames), exact),
        (ours.output(frames, bias), exact + bias.double()[:, None, None]),
        (total, gradient.double() + exact),
        (ours.input_gradient(gradient, frames), grad_x),
        (summed, 2.0 * grad_w),
    ]
    tolerance = {torch.float32: 5e-6, torch.float64: 1e-13, torch.bfloat16: 0.01}[dtype]
    for found, expected in results:
        assert found.shape == expected.shape
        assert (found.double() - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("last", [True, False])
def test_results_lie_in_memory_as_asked(last: bool) -> None:
    """The kernels of the gates rely on it."""
    frames, weight, gradient = tensors((2, 16, 64), (3, 3), (1, 1), torch.float32, last)
    ours = Convolution(weight, (1, 1), torch.float32, (9, 11), channels_last=last)
    order = torch.channels_last if last else torch.contiguous_format
    for result in (ours.output(frames), ours.input_gradient(gradient, frames)):
        assert result.is_contiguous(memory_format=order)


@pytest.mark.parametrize(
    ("device", "dtype", "size", "expected"),
    [
        ("cpu", torch.float32, (8, 8), True),
        ("cpu", torch.float32, (7, 30), False),
        ("cpu", torch.bfloat16, (8, 8), False),
        ("cuda", torch.float32, (8, 8), False),
        ("meta", torch.float32, (8, 8), False),
        ("mps", torch.float32, (8, 8), False),
        ("xpu", torch.float32, (8, 8), False),
    ],
)
def test_tiles_are_for_float32_on_a_cpu(
    device: str, dtype: torch.dtype, size: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "why_not", lambda: None)
    monkeypatch.setattr(winograd, "fits", lambda *_: True)
    weight: Any = SimpleNamespace(device=torch.device(device))
    assert takes_winograd(weight, (1, 1), dtype, size) == expected


def test_packed_operations_that_compute_something_else_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    if not convolutions.can_pack(torch.float32):
        pytest.skip("this build of torch has no packed weights")
    right = convolutions._add_pointwise

    def wrong(total: Tensor, frames: Tensor, packed: Tensor, padding: tuple[int, int]) -> None:
        right(total, frames, packed, padding)
        total[0, 0, 0, 0] += 1.0

    def gone(*_: object) -> None:
        raise AttributeError("no such operation")

    try:
        for change in (wrong, gone):
            convolutions.can_pack.cache_clear()
            monkeypatch.setattr(convolutions, "_add_pointwise", change)
            assert not convolutions.can_pack(torch.float32)
    finally:
        monkeypatch.undo()
        convolutions.can_pack.cache_clear()
