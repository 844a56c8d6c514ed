"""A function as a CUDA graph, where a measurement makes no sense without one."""

from collections.abc import Callable

import torch
from torch import Tensor

from convlstm_cli.compute.graphs import Captured


def captured(function: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[Tensor], Tensor]:
    """The function, replayed from its fourth call of a shape on. These raise RuntimeError if it cannot be captured."""

    def fail(why: str) -> None:
        raise RuntimeError(why)

    graph = Captured(function, device, note=fail)
    return lambda x: graph([x])
