"""The floor of every time: the library's convolutions of a shape and nothing else, in both memory orders.

One call of each convolution is measured; a step of the network needs T calls. The first time step of a layer with a
zero initial state needs no state convolution; the floor counts it nevertheless, since most systems compute it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from speed.shapes import Layer, Shape
from speed.step import Step
from speed.timing import seconds_of

ORDERS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

Calls = dict[str, Callable[[], Tensor]]


class Floor:
    """Times convolutions. The key of one is `layer role direction order`, such as `0 h forward channels_last`."""

    def __init__(self, request: dict[str, Any]) -> None:
        if request["threads"] is not None:
            torch.set_num_threads(request["threads"])
        self._dtype = getattr(torch, request["dtype"])
        self._device = torch.device(request["device"])
        self.about = {"torch": torch.__version__, "threads": str(torch.get_num_threads())}

    def build(self, shape: Shape) -> dict[str, Step]:
        calls: Calls = {}
        for number, layer in enumerate([*shape.encoder, *shape.decoder]):
            calls |= {f"{number} {name}": call for name, call in self._layer(layer, shape).items()}
        forward = {name: call for name, call in calls.items() if " forward " in name}
        return {"train": lambda: _times(calls, self._device), "infer": lambda: _times(forward, self._device)}

    def _layer(self, layer: Layer, shape: Shape) -> Calls:
        calls: Calls = {}
        for role, fan_in in (("x", layer.fan_in), ("h", layer.hidden)):
            if fan_in:
                sizes = shape.batch, fan_in, 4 * layer.hidden, shape.kernel, shape.size
                made = convolutions(*sizes, self._dtype, self._device)
                calls |= {
                    f"{role} {name}": call
                    for name, call in made.items()
                    if not (role == "x" and layer.first and name.startswith("data"))
                }
        return calls


def make(request: dict[str, Any]) -> Floor:
    """The floor, measured as if it were a system."""
    return Floor(request)


def convolutions(
    batch: int, fan_in: int, out: int, kernel: int, size: int, dtype: torch.dtype, device: torch.device
) -> Calls:
    """A size-preserving convolution and its two gradients, each in both memory orders, such as `forward contiguous`."""
    calls: Calls = {}
    padding = [kernel // 2] * 2
    x = torch.randn(batch, fan_in, size, size, dtype=dtype, device=device)
    weight = torch.randn(out, fan_in, kernel, kernel, dtype=dtype, device=device)
    gradient = torch.randn(batch, out, size, size, dtype=dtype, device=device)

    def backward(x: Tensor, weight: Tensor, gradient: Tensor, which: int) -> Tensor:
        wanted = [which == 0, which == 1, False]
        results: Any = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1, wanted
        )
        found: Tensor = results[which]
        return found

    for order, memory in ORDERS.items():
        a, w, g = (tensor.contiguous(memory_format=memory) for tensor in (x, weight, gradient))
        calls[f"forward {order}"] = partial(F.conv2d, a, w, padding=padding)
        calls[f"data {order}"] = partial(backward, a, w, g, 0)
        calls[f"weight {order}"] = partial(backward, a, w, g, 1)
    return calls


@torch.inference_mode()
def _times(calls: Calls, device: torch.device) -> dict[str, float]:
    next(iter(calls.values()))()  # wakes the threads
    return {name: seconds_of(call, device) for name, call in calls.items()}
