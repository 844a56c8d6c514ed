"""Validates resume.pt and weights against their network before anything is built of them.

A file that declares more than it holds, or a network of another size than its configuration, is refused while it is
still a list of names and shapes. Nothing that could run code is loaded: torch builds tensors and plain values only.
"""

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.moments import Moment
from convlstm_cli.runs.record import build
from convlstm_cli.runs.state import State
from convlstm_cli.settings import MAX_COUNT

MAX_WEIGHT = 1e12
"""Largest weight: no useful training comes near it, and up to it nothing inside the network overflows."""


@dataclass(frozen=True)
class Checkpoint:
    """What resume.pt holds."""

    state: State
    step: dict[str, Any]
    """What an optimiser step depends on: `TrainStep.state_dict`."""

    def to_plain(self) -> dict[str, Any]:
        """Tensors and plain values, which torch stores without pickling code."""
        return {"state": self.state.to_plain(), "step": self.step}


@dataclass(frozen=True)
class _Optimiser:
    """The state_dict of a torch.optim.Optimizer."""

    state: dict[int, Any]
    param_groups: list[dict[str, Any]]

    def __post_init__(self) -> None:
        for group in self.param_groups:
            rate = build(float, group.get("lr"))
            if not 0 <= rate < math.inf:
                raise ValueError(f"the learning rate is {rate}")


@dataclass(frozen=True)
class _Step:
    """The state_dict of a `TrainStep`."""

    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: _Optimiser
    scaler: dict[str, int | float]
    steps: int


def load(path: Path, model: ForecasterConfig) -> Checkpoint:
    """What `Run.save_resume` wrote, on the CPU.

    Raises whatever reading a damaged file does; ValueError for one that is whole but not of this network.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):  # torch would take it for a bare pickle, and warn about that
        raise ValueError("it is cut off, or no checkpoint")
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed, which this tool does not do")
    saved = build(dict[str, dict[str, Any]], torch.load(path, map_location="cpu", weights_only=True))
    checkpoint = Checkpoint(State.from_plain(saved["state"]), saved["step"])
    _check_step(build(_Step, checkpoint.step), model)
    return checkpoint


def check_shapes(found: Mapping[str, Sequence[int]], model: ForecasterConfig) -> None:
    """Raises ValueError unless the network has just these tensors, in these shapes."""
    with torch.device("meta"):  # computes shapes and allocates nothing
        expected = {name: list(tensor.shape) for name, tensor in EncoderForecaster(model).state_dict().items()}
    if unlike := sorted(expected.keys() ^ found.keys()):
        raise ValueError(f"{'there is no' if unlike[0] in expected else 'the network has no'} {unlike[0]}")
    for name, shape in expected.items():
        if list(found[name]) != shape:
            raise ValueError(f"{name} has the shape {list(found[name])} and the network's is {shape}")


def check_values(tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError unless all are dense float32, finite and up to `MAX_WEIGHT`."""
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or tensor.layout != torch.strided:
            raise ValueError(f"{name} is of type {tensor.dtype}")
        if tensor.device.type != "cpu" or not (tensor.abs() <= MAX_WEIGHT).all():  # nor is NaN
            raise ValueError(f"{name} holds values that no weight has, such as NaN")


def check_moments(
    optimizer: torch.optim.Optimizer, moments: Callable[[Mapping[str, Any]], Mapping[str, Moment]]
) -> None:
    """Raises ValueError unless an optimiser keeps of each parameter just the `moments` of its parameter group."""
    kept = {id(parameter): moments(group) for group in optimizer.param_groups for parameter in group["params"]}
    for parameter, found in optimizer.state.items():
        expected = kept[id(parameter)]
        if not isinstance(found, dict) or found.keys() != expected.keys():
            raise ValueError("the optimiser's state is of another kind")
        for name, moment in expected.items():
            value = found[name]
            shape = [] if moment.scalar else list(parameter.shape)
            if not isinstance(value, Tensor) or list(value.shape) != shape:
                raise ValueError(f"the optimiser's {name} is not of the parameter's shape")
            if not value.isfinite().all() or (not moment.signed and (value < 0).any()):
                raise ValueError(f"the optimiser's {name} is no number that it can have")


def _check_step(step: _Step, model: ForecasterConfig) -> None:
    averaged = dict(step.average)
    updates = averaged.pop("n_averaged", None)
    if updates is None or updates.shape != () or updates.dtype != torch.int64 or not 0 <= int(updates) <= MAX_COUNT:
        raise ValueError("the number of averaged steps is missing")
    for tensors in (step.network, {name.removeprefix("module."): each for name, each in averaged.items()}):
        check_shapes({name: tensor.shape for name, tensor in tensors.items()}, model)
        check_values(tensors)
