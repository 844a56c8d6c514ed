"""Layers to convert, and comparisons of what came of it: shared by the tests of `nn/interop`."""

from typing import Any

import torch
from torch import Tensor, nn

from convlstm_cli.nn import ConvLSTM


def draw_layer(*arguments: Any, seed: int = 0, **options: Any) -> ConvLSTM:
    """A float64 ConvLSTM whose parameters are all drawn from a normal distribution."""
    torch.manual_seed(seed)
    layer = ConvLSTM(*arguments, **options).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(one: nn.Module, other: nn.Module) -> None:
    """Both have the same options, as they print them, and the same parameters."""
    assert str(one) == str(other)
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0.0, atol=1e-14)


def assert_computes(layer: ConvLSTM, x: Tensor, expected: tuple[Tensor, Tensor, Tensor]) -> None:
    """The layer makes these outputs, last h and last c of x."""
    y, (h, c) = layer(x)
    for ours, theirs in zip((y, h, c), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
