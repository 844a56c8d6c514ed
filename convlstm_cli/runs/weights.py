"""Weights in a safetensors file, held to the network that reads them."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import RunError, first_line
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.runs.checkpoint import check_shapes, check_values


def read_weights(path: Path, model: ForecasterConfig, remedy: str) -> dict[str, torch.Tensor]:
    """The weights in a safetensors file, by the names of the network's parameters; those of 16 bits as float32.

    Raises RunError, with the remedy, where they are damaged or not those of this network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it has no other way
            check_shapes({name: each.get_shape() for name, each in found.items()}, model)
        weights = {
            name: value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
            for name, value in load_file(path).items()
        }
        check_values(weights)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        raise RunError(f"{path}: is damaged or of another network ({first_line(error)}); {remedy}.") from error
    return weights
