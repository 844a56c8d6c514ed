"""Convolutions by tiles against torch's own in float64, and when they are used."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import c_kernels, winograd
from convlstm_cli.nn.kernels import WINOGRAD

SIZES = [(5, 7), (8, 8), (9, 12), (1, 3), (16, 31)]


@pytest.fixture
def needs_kernels() -> None:
    try:
        c_kernels.load(WINOGRAD)
    except c_kernels.NotAvailable as reason:
        pytest.skip(f"no compiled kernels here: {reason}")


def draw(*shape: int) -> Tensor:
    """Random values, (N, channels, H, W) with channels together, or weights."""
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))
    return values.contiguous(memory_format=torch.channels_last)


def close(ours: Tensor, exact: Tensor) -> None:
    """To rounding in float32, relative to the size of the whole."""
    assert (ours.double() - exact).norm() < 2e-6 * exact.norm()


@pytest.mark.usefixtures("needs_kernels", "two_threads")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [3, 5])
def test_output_and_sum_are_the_convolution(side: int, size: tuple[int, int]) -> None:
    frames, weight, bias = draw(3, 32, *size), draw(64, 32, side, side), torch.randn(64)
    ours = winograd.WinogradWeights(weight)
    exact = F.conv2d(frames.double(), weight.double(), padding=side // 2)
    close(ours.output(frames, None), exact)
    close(ours.output(frames, bias), exact + bias.double()[:, None, None])
    total = draw(3, 64, *size)
    expected = total.double() + exact
    ours.add_output(total, frames)
    close(total, expected)


@pytest.mark.usefixtures("needs_kernels", "two_threads")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [3, 5])
def test_the_gradient_to_the_weights_is_summed_over_calls(side: int, size: tuple[int, int]) -> None:
    weight = draw(64, 32, side, side)
    ours, expected = winograd.WinogradWeights(weight), torch.zeros(weight.shape, dtype=torch.float64)
    sums = ours.new_sums()
    for batch in (1, 3):
        frames, gradient = draw(batch, 32, *size), draw(batch, 64, *size)
        ours.add_weight_gradient(sums, frames, gradient)
        leaf = weight.double().requires_grad_()
        output = F.conv2d(frames.double(), leaf, padding=side // 2)
        expected += torch.autograd.grad(output, leaf, gradient.double())[0]
    close(ours.weight_gradient(sums), expected)


@pytest.mark.usefixtures("needs_kernels", "two_threads")
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [3, 5])
def test_frames_beside_others_are_further_channels(side: int, channels: int) -> None:
    both, weight, bias = draw(3, 32 + channels, 9, 14), draw(64, 32 + channels, side, side), torch.randn(64)
    frames, beside = both[:, :32].contiguous(memory_format=torch.channels_last), winograd.with_room(both[:, 32:])
    ours = winograd.WinogradWeights(weight, channels)
    leaf = weight.double().requires_grad_()
    exact = F.conv2d(both.double(), leaf, bias.double(), padding=side // 2)
    close(ours.output(frames, bias, beside), exact.detach())
    sums, gradient = ours.new_sums(), draw(3, 64, 9, 14)
    ours.add_weight_gradient(sums, frames, gradient, beside)
    close(ours.weight_gradient(sums), torch.autograd.grad(exact, leaf, gradient.double())[0])


def test_room_behind_frames_belongs_to_them() -> None:
    frames = torch.randn(2, 3, 3, 4, 5)
    ours = winograd.with_room(frames)
    assert torch.equal(ours, frames)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)
    assert ours.untyped_storage().nbytes() == 4 * (frames.numel() + winograd.ROOM)


@pytest.mark.usefixtures("needs_kernels")
def test_one_object_takes_frames_of_several_sizes() -> None:
    weight = draw(64, 32, 3, 3)
    ours = winograd.WinogradWeights(weight)
    for size in ((8, 8), (16, 31), (5, 7), (8, 8)):
        frames = draw(2, 32, *size)
        close(ours.output(frames, None), F.conv2d(frames.double(), weight.double(), padding=1))


@pytest.mark.parametrize(("panel", "fits"), [(8, True), (16, True), (32, False)])
def test_wider_vectors_ask_for_more_channels(panel: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = type("Kernel", (), {"winograd_panel": staticmethod(lambda: panel)})
    monkeypatch.setattr(c_kernels, "load", lambda _source: kernel)
    assert winograd.fits(torch.zeros(4 * 16, 16, 3, 3), (1, 1)) == fits


@pytest.mark.parametrize(
    ("shape", "padding"),
    [((64, 32, 3, 5), (1, 2)), ((64, 32, 7, 7), (3, 3)), ((64, 32, 3, 3), (0, 0)), ((64, 3, 3, 3), (1, 1))],
)
def test_what_does_not_fit(shape: tuple[int, ...], padding: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = type("Kernel", (), {"winograd_panel": staticmethod(lambda: 16)})
    monkeypatch.setattr(c_kernels, "load", lambda _source: kernel)
    assert not winograd.fits(torch.zeros(shape), padding)


@pytest.mark.usefixtures("needs_kernels")
@pytest.mark.parametrize("method", ["output", "weight_gradient"])
def test_a_kernel_that_computes_something_else_is_not_used(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(winograd.WinogradWeights, method)

    def wrong(self: winograd.WinogradWeights, *given: Any) -> Tensor:
        result: Tensor = right(self, *given)
        return result + 0.01

    monkeypatch.setattr(winograd.WinogradWeights, method, wrong)
    winograd.why_not.cache_clear()
    try:
        assert winograd.why_not() == "it does not compute what torch does"
    finally:
        winograd.why_not.cache_clear()


def test_without_a_compiler_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_source: c_kernels.Source) -> Any:
        raise c_kernels.NotAvailable("no C compiler found (gcc)")

    monkeypatch.setattr(c_kernels, "load", missing)
    winograd.why_not.cache_clear()
    try:
        assert winograd.why_not() == "no C compiler found (gcc)"
    finally:
        winograd.why_not.cache_clear()
