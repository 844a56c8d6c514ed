"""The PyTorch systems: our layer, the plain cell, and classes from files."""

import contextlib
import importlib.util
import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from bench.plain import PlainCell, State
from speed.shapes import Layer, Shape
from speed.step import Step

INPUT_SETS = 3

MakeLayer = Callable[[Layer, Shape], nn.Module]
"""Makes a module that maps (x, state, steps), x (B, T, C, H, W) or None, to (outputs, last state)."""


class TorchSystem:
    """A network whose layers a function makes."""

    def __init__(self, make: MakeLayer, request: dict[str, Any], about: dict[str, str], *, inputs: bool) -> None:
        """`inputs`: every layer needs an input, so that the first layer of a forecaster reads zeros."""
        if request["threads"] is not None:
            torch.set_num_threads(request["threads"])
        self._make, self._inputs = make, inputs
        self._dtype, self._device = getattr(torch, request["dtype"]), torch.device(request["device"])
        self._captured = bool(request.get("captured"))
        self.about = {"torch": torch.__version__, "threads": str(torch.get_num_threads()), **about}

    def build(self, shape: Shape) -> dict[str, Step]:
        torch.manual_seed(0)
        network = Network(self._make, shape, inputs=self._inputs).to(self._device)
        sizes = shape.batch, shape.steps, shape.channels, shape.size, shape.size
        # Several, because a GPU's cache may hold one; they are drawn on the CPU, so that all devices have the same.
        inputs = itertools.cycle([torch.rand(sizes).to(self._device) for _ in range(INPUT_SETS)])
        parameters = list(network.parameters())

        def learn(x: Tensor) -> Tensor:
            for parameter in parameters:
                parameter.grad = None
            with self._precision():
                loss: Tensor = network(x).float().square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        def forecast(x: Tensor) -> Tensor:
            with torch.inference_mode(), self._precision():
                value: Tensor = network(x)[0, 0, 0, 0, 0]
                return value

        return {"train": self._step(learn, inputs), "infer": self._step(forecast, inputs)}

    def _step(self, function: Callable[[Tensor], Tensor], inputs: Iterator[Tensor]) -> Step:
        """The function of the next input as a number, for which a device is waited for.

        As a CUDA graph where the request asks for that.
        """
        if not self._captured:
            return lambda: float(function(next(inputs)))
        from convlstm_cli.compute.graphs import WARM_UPS
        from speed.captured import captured

        replayed = captured(function, self._device)
        for _ in range(WARM_UPS + 1):
            replayed(next(inputs))
        return lambda: float(replayed(next(inputs)))

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self._dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)


class Network(nn.Module):
    """The layers of a shape: an encoder and, for a forecaster, a second stack that starts from its states."""

    def __init__(self, make: MakeLayer, shape: Shape, *, inputs: bool) -> None:
        super().__init__()
        decoder = shape.decoder
        if decoder and inputs:
            decoder[0] = Layer(1, decoder[0].hidden, first=True)
        self.encoder = nn.ModuleList(make(layer, shape) for layer in shape.encoder)
        self.decoder = nn.ModuleList(make(layer, shape) for layer in decoder)
        self.steps = shape.steps
        zeros = torch.zeros(shape.batch, shape.steps, 1, shape.size, shape.size)
        self.register_buffer("first_input", zeros if inputs else None)

    def forward(self, x: Tensor) -> Tensor:
        """All hidden states of the last stack, (B, T, sum of hidden, H, W)."""
        states = []
        for layer in self.encoder:
            x, state = layer(x, None, self.steps)
            states.append(state)
        if not self.decoder:
            return x
        below, outputs = self.first_input, []
        for layer, state in zip(self.decoder, states, strict=True):
            below, _ = layer(below, state, self.steps)
            outputs.append(below)
        return torch.cat(outputs, dim=2)


def ours(request: dict[str, Any]) -> TorchSystem:
    """convlstm_cli.nn.ConvLSTM with the request's peepholes."""
    from convlstm_cli import __version__
    from convlstm_cli.nn import ConvLSTM
    from convlstm_cli.nn.gates import why_no_kernel

    class Ours(ConvLSTM):
        def forward(  # type: ignore[override]
            self, x: Tensor | None, state: State | None, steps: int
        ) -> tuple[Tensor, State]:
            return cast(tuple[Tensor, State], super().forward(x, state, steps=steps if x is None else None))

    def make(layer: Layer, shape: Shape) -> nn.Module:
        size = (shape.size, shape.size)
        return Ours(layer.fan_in, layer.hidden, shape.kernel, peephole=request["peephole"], image_size=size)

    kernel = why_no_kernel(getattr(torch, request["dtype"]), torch.device(request["device"])) or "compiled"
    return TorchSystem(make, request, {"convlstm": __version__, "kernel": kernel}, inputs=False)


class Unrolled(nn.Module):
    """The usual loop over time around a cell that is called as cell(x_t, h, c)."""

    def __init__(self, cell: nn.Module, hidden: int) -> None:
        super().__init__()
        self.cell, self.hidden = cell, hidden

    def forward(self, x: Tensor | None, state: State | None, steps: int) -> tuple[Tensor, State]:
        if state is None:
            assert x is not None
            h = c = x.new_zeros(x.shape[0], self.hidden, *x.shape[-2:])
        else:
            h, c = state
        outputs = []
        for t in range(steps):
            h, c = self.cell(None if x is None else x[:, t], h, c)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h, c)


def plain(request: dict[str, Any]) -> TorchSystem:
    """The plain cell in its loop over time, channels first, differentiated by autograd."""

    def make(layer: Layer, shape: Shape) -> nn.Module:
        return Unrolled(PlainCell(layer.fan_in, layer.hidden, shape.kernel), layer.hidden)

    return TorchSystem(make, request, {}, inputs=False)


class Whole(nn.Module):
    """A class that maps whole sequences (B, T, C, H, W) to (outputs of layers, states of layers).

    It accepts no initial state, so a layer that starts from one runs the class's own cell in our loop.
    """

    def __init__(self, made: nn.Module, hidden: int) -> None:
        super().__init__()
        self.made, self.hidden = made, hidden

    def forward(self, x: Tensor, state: State | None, steps: int) -> tuple[Tensor, State]:
        if state is None:
            outputs, states = self.made(x)
            h, c = states[-1]
            return outputs[-1], (h, c)
        (cell,) = self.made.get_submodule("cell_list").children()
        h, c = state
        hidden_states = []
        for t in range(steps):
            h, c = cell(x[:, t], (h, c))
            hidden_states.append(h)
        return torch.stack(hidden_states, dim=1), (h, c)


def from_file(request: dict[str, Any]) -> TorchSystem:
    """A class from a file with one of two common signatures, distinguished by their argument names."""
    path = Path(request["file"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, request["class"])
    arguments = set(inspect.signature(found.__init__).parameters)

    def sequence(layer: Layer, shape: Shape) -> nn.Module:
        kernel = (shape.kernel, shape.kernel)
        made = found(layer.fan_in, layer.hidden, kernel, 1, batch_first=True, bias=True, return_all_layers=False)
        return Whole(made, layer.hidden)

    def cell(layer: Layer, shape: Shape) -> nn.Module:
        made = found(layer.fan_in, layer.hidden, shape.size, shape.size, shape.kernel, 1, False)
        return Unrolled(made, layer.hidden)

    if {"input_dim", "hidden_dim", "num_layers"} <= arguments:
        return TorchSystem(sequence, request, {}, inputs=True)
    if {"in_channel", "num_hidden", "filter_size"} <= arguments:
        return TorchSystem(cell, request, {}, inputs=True)
    raise TypeError(
        f"{request['class']}({', '.join(sorted(arguments))}) is neither (input_dim, hidden_dim, kernel_size, "
        "num_layers, ...) nor (in_channel, num_hidden, height, width, filter_size, ...)"
    )
