"""Keras 3 on torch beside ours in one process, over a covering array of the arguments of ConvLSTM1D, 2D and 3D.

Usage: keras_grid.py [SEED]. Runs where keras and torch are installed, with the checkout on the module path. Prints the
worst differences as tables for convlstm_cli/nn/README.md, and exits with 1 if one is too large.
"""

import math
import os
import sys
import zlib
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy.typing as npt
import torch
from differences import PRECISIONS, Difference, report, worst_difference
from pairwise import Row, pairwise
from torch import Tensor

from convlstm_cli.nn import interop
from convlstm_cli.nn.activations import ACTIVATIONS
from convlstm_cli.nn.dropout import DropoutMasks

BATCH, STEPS, IN, FILTERS = 2, 4, 2, 3
SIZES = {1: (9,), 2: (9, 8), 3: (7, 8, 6)}
LAYERS = {1: keras.layers.ConvLSTM1D, 2: keras.layers.ConvLSTM2D, 3: keras.layers.ConvLSTM3D}

OPTIONS: dict[str, tuple[Any, ...]] = {
    "kernel_size": ((3, 3, 3), (2, 2, 2), (1, 4, 3)),
    "strides": ((1, 1, 1), (2, 2, 2), (3, 1, 2)),
    "padding": ("same", "valid"),
    "dilation_rate": ((1, 1, 1), (2, 2, 2), (1, 2, 1)),
    "data_format": ("channels_last", "channels_first"),
    "activation": ("tanh", "softsign", "elu", "gelu", None),
    "recurrent_activation": ("sigmoid", "hard_sigmoid", "tanh"),
    "use_bias": (True, False),
    "go_backwards": (False, True),
    "return_sequences": (True, False),
    "return_state": (True, False),
    "dropout": (0.0, 0.4),
    "recurrent_dropout": (0.0, 0.3),
    "mask": (None, "padding", "holes"),
    "initial_state": (False, True),
}
"""Arguments of the layer and its call, with the values tried; sides of three dimensions, of which a layer takes its."""

SIDES = ("kernel_size", "strides", "dilation_rate")
CALL = ("mask", "initial_state")


def allowed(row: Row) -> bool:
    """Keras refuses strides together with dilation."""
    ones = (1, 1, 1)
    return ones in (row.get("strides", ones), row.get("dilation_rate", ones))


def cases(sides: int, seed: int) -> list[Row]:
    """The rows for ConvLSTM1D, 2D or 3D."""
    return [
        {name: value[:sides] if name in SIDES else value for name, value in row.items()}
        for row in pairwise(OPTIONS, allowed, seed)
    ]


def each_activation() -> list[Row]:
    """A plain ConvLSTM2D with each activation that has a name, of the gates and of the candidate and the output."""
    plain = {name: values[0][:2] if name in SIDES else values[0] for name, values in OPTIONS.items()}
    rows = []
    for ours in ACTIVATIONS:
        name = {"hard_sigmoid_keras3": "hard_sigmoid"}.get(ours, ours)
        if ours == "hard_sigmoid_keras2":
            continue
        rows.append({**plain, "recurrent_activation": name})
        if name != "exponential":  # of the candidate it overflows
            rows.append({**plain, "activation": name})
    return rows


class Case:
    """One row with its layer in Keras, random weights and inputs; `run` computes with both."""

    def __init__(self, sides: int, row: Row, precision: str) -> None:
        self.sides, self.row, self.dtype = sides, row, getattr(torch, precision)
        self.last = row["data_format"] == "channels_last"
        self.random = torch.Generator().manual_seed(zlib.crc32(repr((sides, row)).encode()))
        options = {name: value for name, value in row.items() if name not in CALL}
        self.peer = LAYERS[sides](FILTERS, dtype=precision, **options)
        self.x = self.draw(BATCH, STEPS, *self.frame(IN, SIZES[sides]))
        self.peer.build(self.x.shape)
        self.peer.set_weights([self.weight(*weight.shape) for weight in self.peer.weights])
        self.ours = interop.from_keras(
            self.peer.get_weights(),
            self.peer.get_config(),
            keras_version=keras.__version__,
            data_format=row["data_format"],
        )
        self.ours.return_sequences, self.ours.return_state = row["return_sequences"], row["return_state"]
        self.size = self.ours.state_size(*SIZES[sides])

    def draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random, dtype=torch.float64).to(self.dtype)

    def weight(self, *shape: int) -> npt.NDArray[Any]:
        """Wide enough for gates to vary; narrow enough that a linear activation does not grow over the steps."""
        values: npt.NDArray[Any] = (self.draw(*shape) / math.prod(shape[:-1]) ** 0.5).numpy()
        return values

    def frame(self, channels: int, size: tuple[int, ...]) -> tuple[int, ...]:
        return (*size, channels) if self.last else (channels, *size)

    def mask(self) -> Tensor | None:
        """(B, T): the second item one step shorter, or holes at random, also at the start."""
        if self.row["mask"] is None:
            return None
        if self.row["mask"] == "padding":
            return torch.arange(STEPS) < torch.tensor([[STEPS], [STEPS - 1]])
        return torch.tensor([[False, True, False, True], [True, False, True, True]])

    def dropped(self, rate: float, channels: int, size: tuple[int, ...]) -> list[Tensor] | None:
        """One mask for each gate, in the layout of Keras."""
        if not rate:
            return None
        kept = [torch.rand(BATCH, *self.frame(channels, size), generator=self.random) >= rate for _ in range(4)]
        return [one.to(self.x.dtype) / (1 - rate) for one in kept]

    def run(self) -> dict[str, Difference]:
        """The largest relative differences of outputs, of states and of gradients."""
        state_shape = (BATCH, *self.frame(FILTERS, self.size))
        state = (self.draw(*state_shape), self.draw(*state_shape)) if self.row["initial_state"] else None
        from_x = self.dropped(self.row["dropout"], IN, SIZES[self.sides])
        from_h = self.dropped(self.row["recurrent_dropout"], FILTERS, self.size)
        self.peer.cell.get_dropout_mask = lambda _: from_x
        self.peer.cell.get_recurrent_dropout_mask = lambda _: from_h
        masks = DropoutMasks(self.gates_in_channels(from_x), self.gates_in_channels(from_h))

        weights = [variable.value for variable in self.peer.weights]
        theirs = self.pass_through(
            lambda x, s: self.peer(x, initial_state=s, mask=self.mask(), training=True), state, weights
        )
        parameters = [self.ours.weight_ih, self.ours.weight_hh]
        parameters += [self.ours.bias] if self.ours.bias is not None else []
        ours = self.pass_through(lambda x, s: self.ours(x, s, mask=self.mask(), dropout_masks=masks), state, parameters)
        turned = (*range(2, self.sides + 2), 1, 0)
        for name in ("weight 0", "weight 1"):
            ours["gradient"][name] = ours["gradient"][name].permute(turned)
        return {kind: worst_difference(ours[kind], theirs[kind]) for kind in theirs}

    def gates_in_channels(self, masks: list[Tensor] | None) -> Tensor | None:
        """(B, 4 * channels, *size)"""
        if masks is None:
            return None
        return torch.cat([one.movedim(-1, 1) if self.last else one for one in masks], dim=1)

    def pass_through(
        self, layer: Callable[..., Any], state: tuple[Tensor, Tensor] | None, weights: list[Any]
    ) -> dict[str, dict[str, Tensor]]:
        """Outputs, last states and gradients of a random loss of them, by kind and name."""
        leaves = {"x": self.x.clone().requires_grad_()}
        if state is not None:
            leaves |= {name: part.clone().requires_grad_() for name, part in zip("hc", state, strict=True)}
        result = layer(leaves["x"], [leaves["h"], leaves["c"]] if state is not None else None)
        results = _flat(result)
        generator = torch.Generator().manual_seed(1)
        losses = [
            (part * torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part.dtype)).sum()
            for part in results.values()
        ]
        wanted = [*leaves.values(), *weights]
        gradients = torch.autograd.grad(torch.stack(losses).sum(), wanted)
        names = [*leaves, *(f"weight {index}" for index in range(len(weights)))]
        return {
            "forward": {"y": results["y"]},
            "state": {name: part for name, part in results.items() if name != "y"},
            "gradient": dict(zip(names, gradients, strict=True)),
        }


def _flat(result: Any) -> dict[str, Tensor]:
    """y, h and c of what a layer returned: a tensor, Keras' list of three, or our pair."""
    if isinstance(result, Tensor):
        return {"y": result}
    y, *states = result
    h, c = states[0] if len(states) == 1 else states
    return {"y": y, "h": h, "c": c}


def main(seed: int) -> int:
    combined = [
        (f"ConvLSTM{sides}D", row, precision, Case(sides, row, precision).run())
        for sides in LAYERS
        for row in cases(sides, seed)
        for precision in PRECISIONS
    ]
    single = [
        ("ConvLSTM2D, each activation", row, precision, Case(2, row, precision).run())
        for row in each_activation()
        for precision in PRECISIONS
    ]
    return report(f"Keras {keras.__version__}", OPTIONS, combined, single)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
