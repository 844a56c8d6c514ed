"""What the peers that are restated in PyTorch share: their layers, and how a case of theirs is recorded."""

from pathlib import Path

import torch
from cases import BATCH, HIDDEN, IN, STATE_SIZE, STEPS, Case, draw, record
from torch import Tensor, nn

HIDDENS = [HIDDEN, HIDDEN + 1]
"""Hidden channels of each layer."""


def record_network(network: nn.Module, case: Case, precision: str, folder: Path) -> None:
    """Records a network's forward and gradients for a case; it maps x to the outputs and the last layer's h and c."""
    network = network.to(getattr(torch, precision))
    state = (HIDDENS[-1], *STATE_SIZE)
    shapes = {"x": (BATCH, STEPS, IN, *STATE_SIZE), "dy": (BATCH, STEPS, *state), "dc": (BATCH, *state)}
    shapes |= {f"weight/{name}": tuple(value.shape) for name, value in network.state_dict().items()}
    drawn = draw(case, shapes)

    inputs = {name: torch.tensor(array.astype(precision)) for name, array in drawn.items()}
    network.load_state_dict({name: inputs[f"weight/{name}"] for name, _ in network.named_parameters()})
    leaves: dict[str, Tensor] = {f"weight/{name}": parameter for name, parameter in network.named_parameters()}
    leaves["x"] = inputs["x"].requires_grad_()
    y, h, c = network(inputs["x"])
    gradients = torch.autograd.grad((y * inputs["dy"]).sum() + (c * inputs["dc"]).sum(), list(leaves.values()))

    computed = {"y": y, "h": h, "c": c}
    computed |= {f"grad/{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    arrays = {name: value.detach().numpy() for name, value in computed.items()}
    record(folder, case, precision, f"torch {torch.__version__.split('+')[0]}", drawn, arrays, {})
