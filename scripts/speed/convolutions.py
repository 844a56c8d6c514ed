"""Times of single convolutions: oneDNN's in both memory orders, and those of convlstm_cli/nn/convolution.py.

The choices in `Convolution`, and of the memory order in nn/recurrence.py, rest on this table.
"""

import statistics
import time
from typing import Any

import torch

from convlstm_cli.nn.convolution import Convolution
from speed.floor import ORDERS, convolutions
from speed.shapes import SHAPES, tiny

SIZES = (8, 16, 24, 32, 48, 64)
"""Image sizes around the threshold from which channels_last is chosen."""


def cases(*, small: bool) -> list[tuple[int, int, int, int, int]]:
    """(batch, in, out, kernel, size) of every convolution of the shapes, and of one at several sizes."""
    found = []
    for shape in SHAPES.values():
        scaled = tiny(shape) if small else shape
        for layer in (*scaled.encoder, *scaled.decoder):
            fans_in = layer.fan_in, layer.hidden
            found += [(scaled.batch, fan_in, 4 * layer.hidden, scaled.kernel, scaled.size) for fan_in in fans_in]
    if not small:
        found += [(8, 64, 256, 3, size) for size in SIZES]
    return [case for case in dict.fromkeys(found) if case[1]]


def table(rounds: int, *, tiny: bool) -> list[dict[str, Any]]:
    """One row per convolution: median ms of every method, and relative errors of the weight gradients."""
    return [_row(*case, rounds) for case in cases(small=tiny)]


@torch.inference_mode()
def _row(batch: int, fan_in: int, out: int, kernel: int, size: int, rounds: int) -> dict[str, Any]:
    torch.manual_seed(0)
    calls: dict[str, Any] = dict(convolutions(batch, fan_in, out, kernel, size, torch.float32, torch.device("cpu")))
    x = torch.randn(batch, fan_in, size, size)
    weight = torch.randn(out, fan_in, kernel, kernel)
    gradient = torch.randn(batch, out, size, size)
    padding = (kernel // 2, kernel // 2)
    exact = torch.ops.aten.convolution_backward(
        *(t.double() for t in (gradient, x, weight)), None, [1, 1], padding, [1, 1], False, [0, 0], 1, [0, 1, 0]
    )[1]
    errors = {}
    for order, memory in ORDERS.items():
        frames, back = x.contiguous(memory_format=memory), gradient.contiguous(memory_format=memory)
        last = order == "channels_last"
        ours = Convolution(weight, padding, torch.float32, (size, size), channels_last=last)

        calls[f"our forward {order}"] = lambda ours=ours, frames=frames: ours.output(frames)
        calls[f"our data {order}"] = lambda ours=ours, frames=frames, back=back: ours.input_gradient(back, frames)
        ours.add_weight_gradient(back, frames)
        first = ours.weight_gradient()
        assert first is not None
        errors[f"our weight {order}"] = _error(first, exact)
        # Adds to the sum, as the steps of a sequence do.
        calls[f"our weight {order}"] = lambda ours=ours, frames=frames, back=back: ours.add_weight_gradient(
            back, frames
        )
        theirs = torch.ops.aten.convolution_backward(
            back, frames, weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [False, True, False]
        )[1]
        errors[f"weight {order}"] = _error(theirs, exact)

    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number:
                times[name].append(time.perf_counter() - began)
    return {
        "batch": batch,
        "in": fan_in,
        "out": out,
        "kernel": kernel,
        "size": size,
        "ms": {name: statistics.median(found) * 1e3 for name, found in times.items()},
        "errors": errors,
    }


def _error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """The largest error, relative to the largest value."""
    return float((found.double() - exact).abs().max() / exact.abs().max())
