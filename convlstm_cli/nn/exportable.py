"""The forecaster in three programs that torch.export can record: any batch, and loops that are their caller's.

A recorded program has no loops: the lead times, and the frames that are read, would be written out one after another
for a number that is fixed. So what a loop repeats is a program of its own, and a state of plain tensors goes through:

    state = start(frames)                       frames (B, T, C, H, W)
    state = read(frames[:, t], *state)          for each of the T frames
    frame, *state = step(*state)                for each lead time; frame (B, C, H, W)
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from convlstm_cli.nn.forecaster import EncoderForecaster


class Start(nn.Module):
    """The state before the first frame is read."""

    def __init__(self, network: EncoderForecaster) -> None:
        super().__init__()
        self.network = _without(network, "encoder", "forecaster", "head")

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return self.network.start(frames)


class Read(nn.Module):
    """The state after one more frame (B, C, H, W)."""

    def __init__(self, network: EncoderForecaster) -> None:
        super().__init__()
        self.network = _without(network, "forecaster", "head")

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return self.network.read(frame, state)


class Step(nn.Module):
    """The next frame (B, C, H, W), and the state after it."""

    def __init__(self, network: EncoderForecaster) -> None:
        super().__init__()
        self.network = _without(network, "encoder")

    def forward(self, *state: Tensor) -> tuple[Tensor, ...]:
        frame, state = self.network.step(state)
        return frame, *state


class Together(nn.Module):
    """The three beside each other, with nothing in common, for an exporter that is slow to start."""

    def __init__(self, network: EncoderForecaster) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frames: Tensor, frame: Tensor, read: tuple[Tensor, ...], step: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        forecast, state = self.network.step(step)
        return *self.network.start(frames), *self.network.read(frame, read), forecast, *state


def record_parts(network: EncoderForecaster) -> dict[str, ExportedProgram]:
    """`start`, `read` and `step`, each for any batch, and frames as many and as large as the network was trained on."""
    frames = _frames(network)
    with torch.no_grad():
        state = network.start(frames)
    batch = {0: Dim("batch")}
    states = tuple(batch for _ in state)
    one = frames[:, 0].clone()  # a view would be saved with all frames
    return {
        "start": _record(Start(network), (frames,), (batch,)),
        "read": _record(Read(network), (one, *state), (batch, states)),
        "step": _record(Step(network), state, (states,)),
    }


def record_together(network: EncoderForecaster) -> ExportedProgram:
    """All three in one program: the inputs of `start`, `read` and `step`, and then their outputs."""
    frames = _frames(network)
    with torch.no_grad():
        state = network.start(frames)
    # Batches of their own, or else the size of one would be read off another's input.
    start, read, step = ({0: Dim(f"{name}_batch")} for name in ("start", "read", "step"))
    # And tensors of their own, or else it would take one state for the other.
    inputs = frames, frames[:, 0].clone(), state, tuple(part.clone() for part in state)
    return _record(Together(network), inputs, (start, read, tuple(read for _ in state), tuple(step for _ in state)))


def run_parts(parts: Mapping[str, nn.Module], frames: Tensor, horizon: int) -> Tensor:
    """The forecast (B, horizon, C, H, W) by the loops above."""
    state = parts["start"](frames)
    for frame in frames.unbind(dim=1):
        state = parts["read"](frame, *state)
    forecast = []
    for _ in range(horizon):
        frame, *state = parts["step"](*state)
        forecast.append(frame)
    return torch.stack(forecast, dim=1)


def _frames(network: EncoderForecaster) -> Tensor:
    """Frames to record with; of a batch of 1 torch.export would take the size for a constant."""
    config = network.config
    return torch.zeros(2, config.input_frames, config.channels, config.height, config.width)


def _without(network: EncoderForecaster, *names: str) -> EncoderForecaster:
    """A network that shares the weights but lacks some modules, so that these are not saved with it."""
    part = copy.copy(network)
    part._modules = {name: module for name, module in network._modules.items() if name not in names}
    return part


def _record(module: nn.Module, inputs: tuple[object, ...], dynamic: tuple[object, ...]) -> ExportedProgram:
    with torch.no_grad():
        program = torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic, strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it has paths of this machine
    return program
