"""A ConvLSTM layer for TorchScript: what torch.jit.script compiles in its place."""

import warnings
from typing import Protocol

import torch
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.cell import CellRules, CellWeights, cell_step
from convlstm_cli.nn.dimensions import ConvolutionShape, NamedPadding, Pads, convolve
from convlstm_cli.nn.sequences import DataFormat


class Layer(Protocol):
    """What is read of a layer."""

    in_channels: int
    hidden_channels: int
    image_size: tuple[int, ...] | None
    padding: NamedPadding | Pads
    stride: tuple[int, ...]
    dimensions: int
    batch_first: bool
    data_format: DataFormat
    go_backwards: bool
    return_sequences: bool
    return_state: bool
    weight_hh: nn.Parameter
    rules: CellRules

    @property
    def weights(self) -> CellWeights: ...

    @property
    def input_convolution(self) -> ConvolutionShape: ...


class _Step(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return cell_step(x, h, c, self.layer.weights, self.layer.rules)


class _Zeros(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        rules, weight = self.layer.rules, self.layer.weights.weight_ih
        assert weight is not None
        like = convolve(x, weight, padding=rules.padding, stride=rules.stride, dilation=rules.dilation)
        return torch.zeros_like(like[:, : self.layer.hidden_channels])


class ScriptedConvLSTM(nn.Module):
    """A layer's evaluation mode as a loop that TorchScript compiles around one traced time step.

    It shares the layer's parameters, as `step.layer.weight_ih` and so on, and takes any batch, length and size.

    Of a module that contains layers, torch.jit.script exchanges them in that module itself, so script a copy.

    Raises UsageError for a layer without input; for a `data_format`, `return_sequences` or `return_state` other than
    the default, because its result has one type; and for padding="same" with a stride, which pads by the size of x.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        if not layer.in_channels:
            raise UsageError("torch.jit.script takes a ConvLSTM with an input; in_channels is 0.")
        for option, default in (("data_format", "channels_first"), ("return_sequences", True), ("return_state", True)):
            if getattr(layer, option) != default:
                raise UsageError(f"torch.jit.script takes a ConvLSTM with {option}={default!r} only.")
        if layer.padding == "same" and set(layer.stride) != {1}:
            raise UsageError(
                "torch.jit.script takes a stride with padding in numbers only; 'same' depends on the size."
            )
        self.batch_first, self.go_backwards = layer.batch_first, layer.go_backwards
        size = layer.image_size or (8,) * layer.dimensions
        least = layer.input_convolution.input_size(size)
        x = layer.weight_hh.new_zeros(1, layer.in_channels, *least)
        with warnings.catch_warnings():
            # The kernels' sizes become constants, as they should.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            self.zeros = torch.jit.trace(_Zeros(layer), x)  # type: ignore[no-untyped-call]
            state = self.zeros(x)
            self.step = torch.jit.trace(_Step(layer), (x, state, state))  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `ConvLSTM.forward`, with x and state alone."""
        steps = x.unbind(1 if self.batch_first else 0)
        if state is None:
            h = c = self.zeros(steps[0])
        else:
            h, c = state
        outputs: list[Tensor] = []
        for t in range(len(steps)):
            h, c = self.step(steps[len(steps) - 1 - t if self.go_backwards else t], h, c)
            outputs.append(h)
        return torch.stack(outputs, 1 if self.batch_first else 0), (h, c)
