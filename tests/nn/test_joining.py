"""One convolution of h and x, as a GPU's library computes it, against the two: here by the CPU's library."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import ConvLSTM, joining
from convlstm_cli.nn.joining import Concatenated, join

HIDDEN = 16
SIZE = (6, 5)


def weights(channels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Those of h and of x, of values that a narrow type holds exactly."""
    torch.manual_seed(0)
    hh, ih = torch.randn(4 * HIDDEN, HIDDEN, 3, 3), torch.randn(4 * HIDDEN, channels, 3, 3)
    return hh.to(dtype).float(), ih.to(dtype).float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_it_is_the_sum_of_both_convolutions_and_so_are_its_gradients(channels: int, dtype: torch.dtype) -> None:
    hh, ih = (weight.requires_grad_() for weight in weights(channels, dtype))
    joined = Concatenated(hh, ih, (1, 1), dtype, SIZE)
    x = joined.with_room(torch.randn(2, 3, channels, *SIZE)).flatten(0, 1)
    h = torch.randn(6, HIDDEN, *SIZE).to(dtype).contiguous(memory_format=torch.channels_last)
    bias = torch.randn(4 * HIDDEN).to(dtype)
    output = joined.output(h, x, bias)
    assert output.is_contiguous(memory_format=torch.channels_last)

    tolerance = 1e-4 if dtype == torch.float32 else 0.02
    expected = F.conv2d(h.float(), hh, padding=1) + F.conv2d(x.float(), ih, bias.float(), padding=1)
    assert (output.float() - expected).abs().max() < tolerance * expected.abs().max()

    assert joined.weight_gradients() == (None, None)
    gradient = torch.randn_like(output)
    for part in (slice(0, 2), slice(2, 6)):
        joined.add_weight_gradient(gradient[part], h[part], x[part])
    expected.backward(gradient.float())  # type: ignore[no-untyped-call]
    for found, weight in zip(joined.weight_gradients(), (hh, ih), strict=True):
        assert found is not None
        assert weight.grad is not None
        assert found.dtype == torch.float32
        assert (found - weight.grad).abs().max() < tolerance * weight.grad.abs().max()


@pytest.mark.parametrize("has_state", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_a_layer_computes_the_same_with_it(channels: int, has_state: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = ConvLSTM(channels, HIDDEN, 3)
    x = torch.randn(2, 4, channels, *SIZE, requires_grad=True)
    state = (torch.randn(2, HIDDEN, *SIZE), torch.randn(2, HIDDEN, *SIZE)) if has_state else None
    calls: list[int] = []
    real = Concatenated.output

    def counted(self: Concatenated, h: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
        calls.append(len(x))
        return real(self, h, x, bias)

    monkeypatch.setattr(Concatenated, "output", counted)
    monkeypatch.setattr("convlstm_cli.nn.fast.plan._channels_last", lambda *_: True)
    results = []
    for table in ({"cpu": JOINED_ON_A_GPU}, {}):
        monkeypatch.setattr(joining, "JOINED", table)
        outputs, (h, c) = layer(x, state)
        found = torch.autograd.grad(outputs.square().sum() + h.sum() + c.sum(), [x, *layer.parameters()])
        results.append([outputs, h, c, *found])
    assert calls == [2] * (4 if has_state else 3)  # the first step has no h where there is no state
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


JOINED_ON_A_GPU = joining.JOINED["cuda"]


def test_x_of_many_channels_or_with_another_kernel_stays_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "JOINED", {"cpu": JOINED_ON_A_GPU})

    def joins(channels: int, kernel: int) -> bool:
        weight_ih = torch.zeros(4 * HIDDEN, channels, kernel, kernel)
        return join(torch.zeros(4 * HIDDEN, HIDDEN, 3, 3), weight_ih, (1, 1), torch.float32, SIZE) is not None

    assert [joins(channels, 3) for channels in (1, 8, 9, 16)] == [True, True, False, False]
    assert not joins(1, 5)
    monkeypatch.setattr(joining, "JOINED", {})
    assert not joins(1, 3)
