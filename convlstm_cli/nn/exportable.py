"""The forecaster as three programs that torch.export can record, for any batch; the caller runs the loops.

A recorded program has no loops: it would contain each lead time and each input frame one after another, for a fixed
number of both. So the body of each loop is a program of its own, and a state of plain tensors passes through them:

    state = start(frames)                       frames (B, T, C, H, W), C with the mask where the network reads one
    state = read(frames[:, t], *state)          for each of the T frames
    frame, *state = step(*state)                for each lead time; frame (B, C, H, W)
"""

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from convlstm_cli.nn import motion
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster


class Start(nn.Module):
    """The state before the first frame is read; from motions if given, those of `searched`: (lookbacks, B, 2, H, W)."""

    def __init__(self, network: EncoderForecaster) -> None:
        super().__init__()
        self.network = _without(network, "encoder", "forecaster", "head")

    def forward(self, frames: Tensor, *flows: Tensor) -> tuple[Tensor, ...]:
        if not flows:
            return self.network.start(frames)
        config = self.network.config
        found: dict[tuple[str, int], Tensor] = {}
        for group, flow in zip(searched(config), flows, strict=True):
            found.update({(group.search, back): each for back, each in zip(group.lookbacks, flow, strict=True)})
        lookbacks = config.lookbacks(config.input_frames)
        still = frames.new_zeros(frames.shape[0], 2, *frames.shape[-2:])
        by_lookback = [[found.get((name, back), still) for name in config.motions] for back in lookbacks]
        return self.network.start(frames, [torch.cat(each, dim=1) for each in by_lookback])


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


class SearchGroup(NamedTuple):
    """Lookbacks from which a search sees the same number of frames, so that it runs on them as one batch."""

    search: str
    frames: int
    lookbacks: tuple[int, ...]

    @property
    def name(self) -> str:
        """The search, and how many frames it sees."""
        return f"{self.search}_{self.frames}"


class Pyramid(nn.Module):
    """The levels on which motions are estimated, the smallest first, and the initial motions on the smallest.

    The mask of frames that have one is left out.
    """

    def __init__(self, network: EncoderForecaster, group: SearchGroup) -> None:
        super().__init__()
        self.network = _without(network, "encoder", "forecaster", "head")
        self.group = group

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        _, count, lookbacks = self.group
        levels = motion.pyramid(self.network.target_channels(frames), count + max(lookbacks))
        seen = [motion.seen_from(level, count, lookbacks) for level in levels]
        return *seen, frames.new_zeros(frames.shape[0] * len(lookbacks), 2, *levels[0].shape[-2:])


class Enlarge(nn.Module):
    """Motion, resized for the next level."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, flow: Tensor) -> tuple[Tensor, ...]:
        return (motion.enlarge(flow, self.size),)


class Improve(nn.Module):
    """Motion after one more step, and the level that it belongs to."""

    def __init__(self, search: motion.Search) -> None:
        super().__init__()
        self.search = search

    def forward(self, flow: Tensor, level: Tensor) -> tuple[Tensor, ...]:
        return motion.improve(flow, level, self.search), level


class Together(nn.Module):
    """Independent programs in one, for an exporter that is slow to start."""

    def __init__(self, pieces: Iterable[nn.Module]) -> None:
        super().__init__()
        self.pieces = nn.ModuleList(pieces)

    def forward(self, *inputs: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        return [piece(*given) for piece, given in zip(self.pieces, inputs, strict=True)]


class Piece(NamedTuple):
    """How many inputs and outputs a program has."""

    inputs: int
    outputs: int


def record_parts(network: EncoderForecaster) -> dict[str, ExportedProgram]:
    """`start`, `read` and `step`, each for any batch and for the number and size of frames of the training."""
    frames = _frames(network)
    with torch.no_grad():
        state = network.start(frames)
    batch = {0: Dim("batch")}
    states = tuple(batch for _ in state)
    one = frames[:, 0].clone()  # a view would save all frames
    return {
        "start": _record(Start(network), (frames,), (batch,)),
        "read": _record(Read(network), (one, *state), (batch, states)),
        "step": _record(Step(network), state, (states,)),
    }


def record_together(network: EncoderForecaster) -> tuple[ExportedProgram, dict[str, Piece]]:
    """`start`, `read`, `step` and the estimation of motion in one program: all inputs and all outputs, in order.

    A motion has several pieces, because its steps are most of all operations. That of the name `fine` in four frames,
    for one: of the frames `fine_4_pyramid` gives the levels and an initial motion. On each level, `fine_4_enlarge_1`,
    `fine_4_enlarge_2` and so on resize the motion, and the search's number of steps of `fine_4_improve_0`,
    `fine_4_improve_1` and so on improve it. The last motions go into `start` beside the frames.
    """
    frames = _frames(network)
    pieces: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}
    with torch.no_grad():
        given: tuple[Tensor, ...] = (frames,)
        for group in searched(network.config):
            name, search = group.name, motion.SEARCHES[group.search]
            pyramid = Pyramid(network, group)
            pieces[f"{name}_pyramid"] = pyramid, (frames,)
            *levels, flow = pyramid(frames)
            for index, level in enumerate(levels):
                if index:
                    enlarge = Enlarge((level.shape[-2], level.shape[-1]))
                    pieces[f"{name}_enlarge_{index}"] = enlarge, (flow,)
                    [flow] = enlarge(flow)
                pieces[f"{name}_improve_{index}"] = Improve(search), (flow, level)
            given = *given, torch.stack(motion.apart(flow, len(group.lookbacks)))
        state = network.start(frames)
        pieces["start"] = Start(network), given
        pieces["read"] = Read(network), (frames[:, 0], *state)
        pieces["step"] = Step(network), state
        counts = {name: Piece(len(inputs), len(module(*inputs))) for name, (module, inputs) in pieces.items()}
    # Each piece has its own tensors and batch, because torch.export would identify those that two pieces share.
    inputs = tuple(tuple(tensor.clone() for tensor in inputs) for _, inputs in pieces.values())
    # Motions that go into `start` have their lookbacks before the batch.
    batches = tuple(
        tuple({int(name == "start" and index > 0): Dim(f"{name}_batch")} for index in range(count.inputs))
        for name, count in counts.items()
    )
    return _record(Together(module for module, _ in pieces.values()), inputs, (batches,)), counts


def searched(config: ForecasterConfig) -> list[SearchGroup]:
    """The motions that `record_together` has pieces for, those of each name by the frames that they are seen in."""
    lookbacks = config.lookbacks(config.input_frames)
    return [
        SearchGroup(name, count, tuple(members))
        for name in config.motions
        for count, members in motion.groups(config.input_frames, motion.SEARCHES[name], lookbacks).items()
    ]


@contextlib.contextmanager
def without_stack_traces() -> Iterator[None]:
    """Keeps torch from noting with each operation where it was called: a third of the time of a translation to ONNX."""
    config, name = torch.fx.config, "do_not_emit_stack_traces"  # versions before 2.13 do not read it
    before = getattr(config, name, False)
    setattr(config, name, True)
    try:
        yield
    finally:
        setattr(config, name, before)


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
    """Example frames; a batch of 1 would become a constant of the program."""
    config = network.config
    return torch.zeros(2, config.input_frames, config.read_channels, config.height, config.width)


def _without(network: EncoderForecaster, *names: str) -> EncoderForecaster:
    """A network with the same weights but without some modules, so that these are not saved with it."""
    part = copy.copy(network)
    part._modules = {name: module for name, module in network._modules.items() if name not in names}
    return part


def _record(module: nn.Module, inputs: tuple[object, ...], dynamic: tuple[object, ...]) -> ExportedProgram:
    with torch.no_grad(), without_stack_traces():
        program = torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic, strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # of versions that note it; it contains paths of this machine
    return program
