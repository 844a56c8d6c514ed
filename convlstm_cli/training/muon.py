"""Muon for the kernels of ConvLSTM layers and AdamW for all other parameters, as one optimiser.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) replaces the momentum of a matrix by the nearest
orthogonal matrix, so that every direction of it is learned at the same rate. A ConvLSTM's kernel is four matrices, one
for each gate, that are flattened from (hidden, in, k, k) to (hidden, in * k * k).

torch.optim.Muon (2.9 to 2.13) takes two-dimensional parameters only, one at a time and without CUDA graphs, and
libraries that flatten convolutions (pytorch-optimizer, dion) take all gates for one matrix: hence this file.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.layer import ConvLSTM

KERNEL_RATE, OTHER_RATE = 0.02, 3e-3
"""Learning rates of the kernels and of all else."""
GATES = 4
"""Matrices that are stacked along the first axis of a kernel."""
MOMENTUM = 0.95
STEPS = 5
"""Steps of the Newton-Schulz iteration."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of its polynomial of degree five: `STEPS` steps bring singular values of 0...1 to about 0.7...1.2."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Constants of AdamW (Loshchilov and Hutter 2019)."""


class Muon(torch.optim.Optimizer):
    """Muon for groups whose `kind` is "muon", AdamW for those whose `kind` is "adamw".

    A step never waits for the device, so it can be captured in a CUDA graph; a learning rate that is a tensor of no
    dimension on the device can be changed between replays, as `set_rate` does.

    Groups have `lr`; of "muon" also `gates`, `momentum`; of "adamw" also `betas`, `eps`, `weight_decay`. State of a
    parameter: `momentum_buffer` (as the parameter), or `exp_avg`, `exp_avg_sq` (as the parameter) and `step`.

    Raises UsageError for another `kind`, or a parameter of Muon whose first axis the gates do not divide.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr_as_tensor: bool = False) -> None:
        defaults = {
            "kind": "adamw",
            "lr": OTHER_RATE,
            "gates": 1,
            "momentum": MOMENTUM,
            "betas": BETAS,
            "eps": EPSILON,
            "weight_decay": 0.0,
            "capturable": True,  # by this torch knows that `step` lives on the device
        }
        super().__init__(groups, defaults)
        # torch would warn of eager steps; they are as quick here as any.
        self._warned_capturable_if_run_uncaptured = True
        for group in self.param_groups:
            _check(group)
            group["initial_lr"] = float(group["lr"])
            if lr_as_tensor:
                group["lr"] = torch.tensor(group["initial_lr"], device=group["params"][0].device)
            for parameter in group["params"]:
                self.state[parameter].update(_initial_state(parameter, group["kind"]))

    def set_rate(self, rate: float) -> None:
        """Makes every group's learning rate this share of its initial one."""
        for group in self.param_groups:
            value = group["initial_lr"] * rate
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step along the gradients; parameters without one stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moving = [parameter for parameter in group["params"] if parameter.grad is not None]
            if moving:
                (self._muon if group["kind"] == "muon" else self._adamw)(moving, group)
        return loss

    def _muon(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [_gradient(parameter) for parameter in parameters]
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        momentum, gates = group["momentum"], group["gates"]
        torch._foreach_lerp_(buffers, gradients, 1.0 - momentum)
        updates = torch._foreach_lerp(gradients, buffers, momentum)  # Nesterov's
        alike: dict[tuple[int, ...], list[int]] = {}
        for index, parameter in enumerate(parameters):
            alike.setdefault((parameter.shape[0] // gates, parameter[0].numel()), []).append(index)
        for (rows, columns), places in alike.items():
            matrices = torch.cat([updates[at].reshape(gates, rows, columns) for at in places])
            straight = orthogonalised(matrices) * math.sqrt(max(1.0, rows / columns))
            changes = [
                part.view(parameters[at].shape)
                for at, part in zip(places, straight.reshape(len(places), -1), strict=True)
            ]
            _descend([parameters[at] for at in places], changes, group["lr"])

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [_gradient(parameter) for parameter in parameters]
        steps, means, squares = (
            [self.state[parameter][name] for parameter in parameters] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        first, second = group["betas"]
        torch._foreach_add_(steps, 1.0)
        torch._foreach_lerp_(means, gradients, 1.0 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - second)
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1.0 - group["lr"] * group["weight_decay"])
        # Both means begin at zero, which the divisors make up for.
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1.0 - second**step).sqrt() for step in steps])
        torch._foreach_add_(roots, group["eps"])
        changes = torch._foreach_div(means, [1.0 - first**step for step in steps])
        torch._foreach_div_(changes, roots)
        _descend(parameters, list(changes), group["lr"])


def parameter_groups(
    network: nn.Module, kernel_rate: float = KERNEL_RATE, other_rate: float = OTHER_RATE, weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """The parameters of a network as `Muon` takes them: the kernels of its ConvLSTM layers, and all else.

    `weight_decay` pulls on those of all else that have four dimensions; biases and peepholes stay free.
    """
    layers = [module for module in network.modules() if isinstance(module, ConvLSTM)]
    kernels = [weight for layer in layers for weight in (layer.weight_ih, layer.weight_hh) if weight is not None]
    known = set(map(id, kernels))
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = [
        {"params": kernels, "kind": "muon", "lr": kernel_rate, "gates": GATES},
        {"params": [p for p in others if p.ndim == 4], "lr": other_rate, "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim != 4], "lr": other_rate},
    ]
    return [group for group in groups if group["params"]]


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices (N, rows, columns) with their singular values brought near 1, by `STEPS` Newton-Schulz steps."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        square = x @ x.mT
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if tall else x


def _check(group: dict[str, Any]) -> None:
    if group["kind"] not in ("muon", "adamw"):
        raise UsageError(f"the kind of a parameter group is {group['kind']!r}; choose muon or adamw.")
    for parameter in group["params"] if group["kind"] == "muon" else ():
        if parameter.ndim < 2 or parameter.shape[0] % group["gates"]:
            raise UsageError(
                f"a parameter of shape {tuple(parameter.shape)} is not {group['gates']} stacked matrices; "
                "put it into a group of the kind adamw."
            )


def _initial_state(parameter: Tensor, kind: str) -> dict[str, Tensor]:
    if kind == "muon":
        return {"momentum_buffer": torch.zeros_like(parameter)}
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _descend(parameters: list[Tensor], changes: list[Tensor], rate: float | Tensor) -> None:
    """Takes `rate` times the changes from the parameters."""
    if isinstance(rate, Tensor):
        torch._foreach_sub_(parameters, torch._foreach_mul(changes, rate))
    else:
        torch._foreach_add_(parameters, changes, alpha=-rate)
