"""Arrays of other systems as tensors and back: checked, copied, and with their gates in another order.

May import errors.py and torch. Every message names the array that does not fit.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convlstm_cli.errors import UsageError

Array = npt.NDArray[Any] | Tensor

OURS = "ifgo"
"""The order in which the gates are stacked here, in torch.nn.LSTM, in OpenSTL and, with c for g, in Keras."""


def tensor(name: str, array: Array) -> Tensor:
    """The array as a tensor; numpy's are copied, since torch takes neither read-only nor reversed ones.

    Raises UsageError for anything but floating-point numbers.
    """
    made = array.detach() if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
    if not made.is_floating_point():
        raise UsageError(f"{name} holds {made.dtype}; weights are floating-point numbers.")
    return made


def numpy(values: Tensor) -> npt.NDArray[Any]:
    """A copy as numpy, which has no bfloat16 and gets float32 for it."""
    values = values.detach()
    if values.dtype == torch.bfloat16:
        values = values.float()
    array: npt.NDArray[Any] = values.numpy(force=True).copy()
    return array


def expect(name: str, array: Tensor, shape: tuple[int, ...]) -> None:
    """Raises UsageError unless the array `name` has this shape."""
    if tuple(array.shape) != shape:
        raise UsageError(f"{name} has shape {tuple(array.shape)}; expected {shape}.")


def regate(gates: Tensor, source: str, target: str) -> Tensor:
    """A copy whose blocks along the first axis are in the order `target`, given in the order `source`."""
    blocks = dict(zip(source, gates.chunk(4), strict=True))
    return torch.cat([blocks[gate] for gate in target])


def demand(system: str, *limits: tuple[bool, str]) -> None:
    """Raises UsageError with the first limit of `system` that does not hold for a layer."""
    for holds, limit in limits:
        if not holds:
            raise UsageError(f"{system} cannot hold this ConvLSTM: {limit}.")
