"""resume.pt and weights, held to the network that they are for before anything is built of them.

A file that claims more than it holds, or a network of another size than its configuration says, is refused while it is
still a list of names and shapes. Nothing that could run code is loaded: torch builds tensors and plain values only.
"""

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.record import check_epoch, check_fields

MAX_WEIGHT = 1e12
"""No training that is worth anything comes near it, and up to it nothing inside the network overflows."""
MAX_COUNT = 2**31
"""Steps, epochs and the like, which are multiplied and added to seeds, are fewer."""


def load(path: Path, model: ForecasterConfig) -> dict[str, Any]:
    """What `Run.save_resume` wrote, on the CPU: `state` and `step`.

    Raises whatever reading a damaged file does; ValueError for one that is whole but not of this network.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):  # torch would take it for a bare pickle, and warn about that
        raise ValueError("it is cut off, or no checkpoint")
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed, which this tool does not do")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    check_fields(saved, {"state": dict[str, Any], "step": dict[str, Any]})
    _check_state(saved["state"])
    _check_step(saved["step"], model)
    return dict(saved)


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


def check_moments(optimizer: torch.optim.Optimizer) -> None:
    """Raises ValueError unless the optimiser keeps of each parameter what its kind keeps, in the parameter's shape."""
    kept = {"step", "square_avg"} if isinstance(optimizer, torch.optim.RMSprop) else {"step", "exp_avg", "exp_avg_sq"}
    for parameter, moments in optimizer.state.items():
        if not isinstance(moments, dict) or moments.keys() != kept:
            raise ValueError("the optimiser's state is of another kind")
        for name, value in moments.items():
            shape = [] if name == "step" else list(parameter.shape)
            if not isinstance(value, Tensor) or list(value.shape) != shape:
                raise ValueError(f"the optimiser's {name} is not of the parameter's shape")
            if not value.isfinite().all() or (name != "exp_avg" and (value < 0).any()):
                raise ValueError(f"the optimiser's {name} is no number that it can have")


def _check_state(state: Mapping[str, Any]) -> None:
    """Raises ValueError for counters that no training has."""
    counts = ["epoch", "position", "steps", "best_epoch"]
    counts += {"skipped", "in_a_row", "went_back"} & state.keys()  # else they are 0
    numbers: dict[str, Any] = dict.fromkeys(("seconds", "loss_sum", "best_mse"), float)
    check_fields(state, {**dict.fromkeys(counts, int), **numbers, "history": list[Any]})
    for name in (*counts, "seconds"):
        if not 0 <= state[name] < MAX_COUNT:
            raise ValueError(f"{name} is {state[name]}")
    if not math.isfinite(state["loss_sum"]):
        raise ValueError(f"loss_sum is {state['loss_sum']}")
    if state["best_epoch"] > state["epoch"] or (state["epoch"] and not state["history"]):
        raise ValueError("its epochs do not add up")
    for row in state["history"]:
        check_epoch(row)


def _check_step(step: Mapping[str, Any], model: ForecasterConfig) -> None:
    check_fields(step, {"network": dict[str, Tensor], "average": dict[str, Tensor], "optimizer": dict[str, Any]})
    check_fields(step, {"steps": int, "scaler": dict[str, int | float]})
    check_fields(step["optimizer"], {"state": dict[int, Any], "param_groups": list[dict[str, Any]]})
    for group in step["optimizer"]["param_groups"]:
        check_fields(group, {"lr": float})
        if not 0 <= group["lr"] < math.inf:
            raise ValueError(f"the learning rate is {group['lr']}")
    averaged = dict(step["average"])
    updates = averaged.pop("n_averaged", None)
    if updates is None or updates.shape != () or updates.dtype != torch.int64 or not 0 <= int(updates) < MAX_COUNT:
        raise ValueError("the number of averaged steps is missing")
    for tensors in (step["network"], {name.removeprefix("module."): each for name, each in averaged.items()}):
        check_shapes({name: tensor.shape for name, tensor in tensors.items()}, model)
        check_values(tensors)
