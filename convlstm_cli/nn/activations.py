"""The activations of a cell by name: σ of the gates, and the function of the candidate and of the cell state."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.kinds import GateActivation, registry

Activation = str | Callable[[Tensor], Tensor]
"""A name of `ACTIVATIONS`, or a function that maps each value by itself."""

GATE_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = registry(
    GateActivation,
    {
        "sigmoid": torch.sigmoid,
        "hard_sigmoid_keras3": F.hardsigmoid,  # x/6 + 0.5, clipped to [0, 1]; also PyTorch's hard sigmoid
        "hard_sigmoid_keras2": lambda x: torch.clamp(0.2 * x + 0.5, 0.0, 1.0),  # also that of tf.keras and Theano
    },
)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **GATE_ACTIVATIONS,
    "tanh": torch.tanh,
    "linear": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),  # Keras' slope
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "hard_silu": F.hardswish,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hard_tanh": F.hardtanh,
    "exponential": torch.exp,
}
"""By Keras' names, with Keras' constants."""


def function(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The function of a name; a function is its own."""
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation


def check_activation(option: str, activation: object) -> None:
    """Raises UsageError that names `option` for what is neither a name of `ACTIVATIONS` nor a function."""
    if activation == "hard_sigmoid":
        raise UsageError(
            f"{option} is 'hard_sigmoid', which Keras changed; choose hard_sigmoid_keras3, hard_sigmoid_keras2."
        )
    if not callable(activation) and activation not in ACTIVATIONS:
        raise UsageError(f"{option} is {activation!r}; give a function or one of {', '.join(ACTIVATIONS)}.")
