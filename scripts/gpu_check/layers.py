"""Times stacks of ConvLSTM layers on a device: ours, a loop in plain PyTorch, and the convolutions alone.

Ours is launched operation by operation, and captured as a CUDA graph, as `convlstm train` and forecasts are; the
convolutions alone are captured. Where there are no graphs all are launched.

Every system computes the same shapes from the same inputs. A round takes each system once, in turn, with one of
several sets of inputs, so that a change of the clock or of other work on the machine meets all alike. A training step
has no loss and no optimiser: its backward pass starts from a gradient of ones. The figures are medians over rounds, by
CUDA events on a GPU. Memory is the peak during a step over what was allocated before it, launched.

    python -m gpu_check.layers --device cuda -o rows.jsonl
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlstm_cli.compute.graphs import WARM_UPS
from convlstm_cli.nn import ConvLSTM
from speed.captured import captured
from speed.timing import seconds_of

Call = Callable[[Tensor], object]
Calls = dict[str, Callable[[Tensor], Tensor]]
"""A training step and a forecast, by name."""
INPUT_SETS = 4


@dataclass(frozen=True)
class Shape:
    """Stacked layers over a sequence."""

    name: str
    batch: int
    steps: int
    channels: int
    side: int
    hidden: tuple[int, ...]
    kernel: int


SHAPES = (
    Shape("64x64x1, 64, batch 8", 8, 10, 1, 64, (64,), 3),
    Shape("64x64x1, 64, batch 64", 64, 10, 1, 64, (64,), 3),
    Shape("16x16x16, 128-64-64, batch 8", 8, 20, 16, 16, (128, 64, 64), 5),
    Shape("16x16x16, 128-64-64, batch 64", 64, 20, 16, 16, (128, 64, 64), 5),
    Shape("128x128x3, 32, batch 2", 2, 10, 3, 128, (32,), 3),
    Shape("128x128x16, 64-64, batch 16", 16, 20, 16, 128, (64, 64), 3),
)
TINY = (Shape("16x16x1, 8, batch 2", 2, 3, 1, 16, (8,), 3),)


class PlainLayer(nn.Module):
    """A ConvLSTM layer as it is usually written: one convolution of input and hidden state together at each step."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(channels + hidden, 4 * hidden, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, T, in, H, W) to (B, T, hidden, H, W)."""
        h = c = x.new_zeros(x.shape[0], self.hidden, *x.shape[-2:])
        outputs = []
        for x_t in x.unbind(dim=1):
            i, f, g, o = self.conv(torch.cat((x_t, h), dim=1)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class OurLayer(nn.Module):
    """`ConvLSTM`, of which only the outputs are used."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.layer = ConvLSTM(channels, hidden, kernel, peephole="none")

    def forward(self, x: Tensor) -> Tensor:
        """From (B, T, in, H, W) to (B, T, hidden, H, W)."""
        outputs: Tensor = self.layer(x)[0]
        return outputs


def network(kind: type[PlainLayer] | type[OurLayer], shape: Shape, device: torch.device) -> nn.Module:
    """Stacked layers of one kind."""
    fans = (shape.channels, *shape.hidden)
    return nn.Sequential(*(kind(a, b, shape.kernel) for a, b in zip(fans, shape.hidden, strict=False))).to(device)


def calls_of(model: nn.Module, device: torch.device, dtype: torch.dtype) -> Calls:
    """A training step without a loss and an optimiser, and a forecast."""

    def train(x: Tensor) -> Tensor:
        model.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            outputs: Tensor = model(x)
        # A loss would take as many passes as the layers do.
        outputs.backward(torch.ones_like(outputs))  # type: ignore[no-untyped-call]
        return outputs.detach()

    def infer(x: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            outputs: Tensor = model(x)
            return outputs

    return {"train": train, "infer": infer}


class Convolution(NamedTuple):
    """Tensors of one convolution and of its gradients."""

    frames: Tensor
    weight: Tensor
    gradient: Tensor
    turned: Tensor | None
    """The weight with which the gradient to the frames is a convolution; None where that gradient is not asked for."""


def floor(shape: Shape, device: torch.device, dtype: torch.dtype) -> Calls:
    """The convolutions of all steps, called one by one with channels last: no gates, and gradients that nobody sums."""
    padding = [shape.kernel // 2] * 2
    convolutions = []
    for index, (fan_in, hidden) in enumerate(zip((shape.channels, *shape.hidden), shape.hidden, strict=False)):
        for channels, needs_data in ((fan_in, index > 0), (hidden, True)):
            convolutions.append(_convolution(shape, channels, hidden, device, dtype, needs_data=needs_data))

    def infer(x: Tensor) -> Tensor:
        with torch.no_grad():
            for _step in range(shape.steps):
                for each in convolutions:
                    F.conv2d(each.frames, each.weight, padding=padding)
        return x

    def train(x: Tensor) -> Tensor:
        infer(x)
        for _step in range(shape.steps):
            for each in convolutions:
                _gradient(each, padding, to_frames=False)
                if each.turned is not None and dtype == torch.float32:  # the faster way with tf32, not with bf16
                    F.conv2d(each.gradient, each.turned, padding=padding)
                elif each.turned is not None:
                    _gradient(each, padding, to_frames=True)
        return x

    return {"train": train, "infer": infer}


def _gradient(of: Convolution, padding: list[int], *, to_frames: bool) -> None:
    given = of.gradient, of.frames, of.weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1
    torch.ops.aten.convolution_backward(*given, [to_frames, not to_frames, False])


def _convolution(
    shape: Shape, channels: int, hidden: int, device: torch.device, dtype: torch.dtype, *, needs_data: bool
) -> Convolution:
    sizes = (shape.batch, channels), (shape.batch, 4 * hidden)
    frames, gradient = (torch.rand(*size, shape.side, shape.side, device=device, dtype=dtype) for size in sizes)
    weight = torch.rand(4 * hidden, channels, shape.kernel, shape.kernel, device=device, dtype=dtype)
    turned = weight.flip(2, 3).transpose(0, 1)
    frames, weight, gradient, turned = (
        each.contiguous(memory_format=torch.channels_last) for each in (frames, weight, gradient, turned)
    )
    return Convolution(frames, weight, gradient, turned if needs_data else None)


def peak_of(call: Call, x: Tensor) -> float | None:
    """MB that a call takes at most beside what was allocated before; None where that is not known."""
    if x.device.type != "cuda":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call(x)
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)


def measure(shape: Shape, dtype: torch.dtype, device: torch.device, rounds: int) -> list[dict[str, object]]:
    """A row for training and one for forecasting: medians in ms and peaks in MB, by system."""
    torch.manual_seed(0)
    inputs = [
        torch.rand(shape.batch, shape.steps, shape.channels, shape.side, shape.side, device=device)
        for _ in range(INPUT_SETS)
    ]
    ours = calls_of(network(OurLayer, shape, device), device, dtype)
    systems = {
        "ours": ours,
        "plain": calls_of(network(PlainLayer, shape, device), device, dtype),
        "captured": {mode: captured(call, device) for mode, call in ours.items()},
        "floor": {mode: captured(call, device) for mode, call in floor(shape, device, dtype).items()},
    }
    rows: list[dict[str, object]] = []
    for mode in ("train", "infer"):
        times: dict[str, list[float]] = {name: [] for name in systems}
        for calls in systems.values():
            for _ in range(WARM_UPS + 1):
                calls[mode](inputs[0])
        peaks = {name: peak_of(systems[name][mode], inputs[0]) for name in ("ours", "plain")}
        for number in range(rounds):
            for name, calls in systems.items():
                times[name].append(seconds_of(partial(calls[mode], inputs[number % INPUT_SETS]), device))
        medians = {name: 1e3 * statistics.median(each) for name, each in times.items()}
        about = {"shape": shape.name, "sizes": asdict(shape), "dtype": str(dtype).removeprefix("torch."), "mode": mode}
        rows.append({**about, "ms": medians, "mb": peaks, "rounds": rounds})
    return rows


def main() -> None:
    """Measures all shapes and writes a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="one tiny shape")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path, required=True, help="file of rows, one JSON object a line")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    shapes, rounds = (TINY, 2) if arguments.quick else (SHAPES, arguments.rounds)
    with arguments.output.open("w", encoding="utf-8") as file:
        for shape in shapes:
            for dtype in (torch.float32, torch.bfloat16):
                for row in measure(shape, dtype, device, rounds):
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                    print(json.dumps(row), flush=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
