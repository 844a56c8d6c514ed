"""Optimisers, in one registry. Imports torch inside functions only, so that `--help` can list them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from convlstm_cli.registry import Registry
from convlstm_cli.runs.moments import Moment

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Group = Mapping[str, Any]
"""One of an optimiser's `param_groups`."""


class Rates(Protocol):
    """The settings that an optimiser is built from, such as a `TrainConfig`."""

    @property
    def learning_rate(self) -> float:
        """Highest learning rate."""

    @property
    def weight_decay(self) -> float:
        """Weight decay of the convolution kernels."""


@dataclass(frozen=True)
class Optimiser:
    """A way to turn gradients into steps."""

    name: str
    doc: str
    """What it is, in a few words."""
    build: "Callable[[nn.Module, Rates], Optimizer]"
    """The optimiser of a network's parameters. Each group's `lr` is its highest learning rate."""
    moments: Callable[[Group], Mapping[str, Moment]]
    """What the optimiser keeps of each parameter of a group, by name; a checkpoint has to hold just that."""


def decayed_and_free(network: "nn.Module", weight_decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups: kernels with weight decay, and biases and peepholes without.

    Decay would pull biases and peepholes away from what they mean.
    """
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim == 4], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim != 4], "weight_decay": 0.0},
    ]


def _adamw(network: "nn.Module", config: Rates) -> "Optimizer":
    from torch.optim import AdamW

    return AdamW(decayed_and_free(network, config.weight_decay), lr=config.learning_rate)


def _muon(network: "nn.Module", config: Rates) -> "Optimizer":
    from convlstm_cli.training.muon import KERNEL_RATE, OTHER_RATE, Muon, parameter_groups

    kernel_rate = config.learning_rate * KERNEL_RATE / OTHER_RATE
    return Muon(parameter_groups(network, kernel_rate, config.learning_rate, config.weight_decay))


def _rmsprop(network: "nn.Module", config: Rates) -> "Optimizer":
    from torch.optim import RMSprop

    return RMSprop(decayed_and_free(network, config.weight_decay), lr=config.learning_rate, alpha=0.9)


def leave_out_compiler() -> None:
    """Lets optimisers do without torch._dynamo, whose import takes a third of the time of a short training.

    torch wraps methods of its optimisers so that torch.compile passes over them, and the wrappers import the compiler,
    which no training uses. The change holds for the whole process, so the command line makes it and the library does
    not.
    """
    from torch.optim import Optimizer

    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        method = getattr(Optimizer, name)
        setattr(Optimizer, name, getattr(method, "__wrapped__", method))


STEP = Moment(scalar=True, signed=False)
"""The number of steps."""
MUON_MOMENTS = {"momentum_buffer": Moment()}
ADAM_MOMENTS = {"step": STEP, "exp_avg": Moment(), "exp_avg_sq": Moment(signed=False)}
RMSPROP_MOMENTS = {"step": STEP, "square_avg": Moment(signed=False)}

OPTIMISERS: Registry[Optimiser] = Registry(
    "optimiser",
    (
        Optimiser(
            "muon",
            "Muon (Jordan et al. 2024) for the kernels of the ConvLSTM layers, AdamW for all else",
            _muon,
            lambda group: MUON_MOMENTS if group["kind"] == "muon" else ADAM_MOMENTS,
        ),
        Optimiser("adamw", "AdamW (Loshchilov and Hutter 2019)", _adamw, lambda _group: ADAM_MOMENTS),
        Optimiser(
            "rmsprop", "RMSProp with a decay of 0.9, as in Shi et al. 2015", _rmsprop, lambda _group: RMSPROP_MOMENTS
        ),
    ),
)
