"""Ours beside what a peer recorded: what `scripts/verify-peers` and `test_interop.py` share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.nn import interop
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.stepwise import State


@dataclass(frozen=True)
class Record:
    """What a peer was given and what it computed, as scripts/verify_peers/cases.py describes."""

    about: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Errors:
    """Largest difference in an array over the largest value in it; of several arrays, the worst."""

    forward: float
    state: float
    gradient: float


def read(path: Path) -> Record:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Record(json.loads(str(arrays.pop("about"))), arrays)


def compare(record: Record, precision: str) -> Errors:
    """Runs ours in `precision` on the record's weights, input and initial state."""
    about = record.about
    to_ours, to_peer = _layouts(about)
    given = {
        name: torch.tensor(array.astype(precision))
        for name, array in record.arrays.items()
        if array.dtype == np.float16
    }
    weights = {name.removeprefix("weight/"): given[name] for name in given if name.startswith("weight/")}

    layers = import_layers(about, weights)
    x = to_ours(given["x"]).requires_grad_()
    state = None
    if "h0" in given:
        state = to_ours(given["h0"]).requires_grad_(), to_ours(given["c0"]).requires_grad_()
    y, (h, c) = run(layers, x, state)
    ((y * to_ours(given["dy"])).sum() + (c * to_ours(given["dc"])).sum()).backward()

    gradients = {"x": to_peer(x.grad)}
    if state is not None:
        gradients |= {"h0": to_peer(state[0].grad), "c0": to_peer(state[1].grad)}
    exported = export_gradients(about, layers)
    gradients |= {f"weight/{name}": exported[name] for name in weights}

    def error(name: str, ours: Tensor) -> float:
        theirs = record.arrays[name].astype(np.float64)
        assert ours.shape == theirs.shape, (name, ours.shape, theirs.shape)
        return float(np.abs(ours.detach().numpy() - theirs).max() / np.abs(theirs).max())

    return Errors(
        error("y", to_peer(y)),
        max(error("h", to_peer(h)), error("c", to_peer(c))),
        max(error(f"grad/{name}", gradient) for name, gradient in gradients.items()),
    )


def run(layers: list[ConvLSTM], x: Tensor, state: State | None) -> tuple[Tensor, State]:
    """A stack of layers; `state` starts the first, the last's is returned."""
    for layer in layers:
        x, last = layer(x, state)
        state = None
    return x, last


def import_layers(about: Mapping[str, Any], weights: Mapping[str, Any]) -> list[ConvLSTM]:
    kind, config = about["interop"], about["config"]
    if kind == "keras":
        return [interop.from_keras(list(weights.values()), config, keras_version=about["version"])]
    if kind == "keras_peephole":
        return [interop.from_keras_peephole(list(weights.values()), config)]
    if kind == "tf1":
        return [interop.from_tf1(weights, **config)]
    if kind == "openstl":
        return interop.from_openstl(weights)
    return interop.from_ndrplz(weights)


def export_layers(
    about: Mapping[str, Any], layers: list[ConvLSTM], **tf1_options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The peer's arrays by name, and its options."""
    kind = about["interop"]
    if kind == "tf1":
        return interop.to_tf1(layers[0], **tf1_options)
    if kind in ("ndrplz", "openstl"):
        return interop.to_openstl(layers) if kind == "openstl" else interop.to_ndrplz(layers)
    if kind == "keras":
        arrays, options = interop.to_keras(layers[0], keras_version=about["version"])
    else:
        arrays, options = interop.to_keras_peephole(layers[0])
    return {str(index): array for index, array in enumerate(arrays)}, options


def export_gradients(about: Mapping[str, Any], layers: list[ConvLSTM]) -> dict[str, Tensor]:
    """Our gradients in the peer's layout: puts them in place of the weights, and exports those.

    The conversions are linear but for TensorFlow v1's forget_bias, which is therefore left out.
    """
    for layer in layers:
        for parameter in layer.parameters():
            assert parameter.grad is not None
            parameter.data = parameter.grad
    arrays, _ = export_layers(about, layers, **({"forget_bias": 0.0} if about["interop"] == "tf1" else {}))
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


def _layouts(about: Mapping[str, Any]) -> tuple[Any, Any]:
    """From a peer's layout of frames and states, with or without time, to ours, and back."""
    if about["interop"] in ("keras_peephole", "tf1"):
        return lambda array: array[..., None, None], lambda array: array[..., 0, 0]
    if about["interop"] == "keras" and about["config"]["data_format"] == "channels_last":
        return lambda array: array.movedim(-1, -3), lambda array: array.movedim(-3, -1)
    return lambda array: array, lambda array: array
