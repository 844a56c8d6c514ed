"""CUDA graphs without a GPU: recorded functions that are called again at each replay."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convlstm_cli.compute import graphs
from convlstm_cli.compute.graphs import Recording

aten = torch.ops.aten


class FakeRecorder:
    """Records on any device: as with real graphs nothing is computed while recording, results keep their memory."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.recorded, self.replayed = 0, 0
        self.shapes: set[tuple[int, ...]] = set()
        """Shapes of the recorded results."""
        self.error: Exception | None = None
        """Raised by the next recording."""
        self.inside = False

    @contextlib.contextmanager
    def ordered(self) -> Iterator[None]:
        assert not self.inside
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    def record(self, function: Callable[[], Tensor]) -> Recording:
        assert self.inside
        if self.error is not None:
            raise self.error
        self.recorded += 1
        result = torch.zeros(0)

        def replay() -> None:
            assert self.inside
            self.replayed += 1
            computed = function()
            result.resize_(computed.shape).copy_(computed)
            self.shapes.add(tuple(computed.shape))

        return Recording(replay, result)


def on_the_cpu(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[FakeRecorder]:
    """Captures on the CPU from now on; gives the recorders as they are made. Recordings raise `error` if given."""
    made: list[FakeRecorder] = []
    monkeypatch.delenv(graphs.SWITCH, raising=False)

    def make(device: torch.device) -> FakeRecorder:
        recorder = FakeRecorder(device)
        recorder.error = error
        made.append(recorder)
        return recorder

    monkeypatch.setitem(graphs.RECORDERS, "cpu", make)
    return made


class Devices(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the devices of all tensors that operations read and write.

    What is captured has to meet one device alone: a graph copies nothing from the CPU and waits for nothing. Meta
    stands for a GPU, and refuses what would have to be waited for.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.met: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.grid_sampler_2d.default:  # which is hundreds of operations on meta, forward and backward
            result = args[0].new_empty(*args[0].shape[:2], *args[1].shape[1:3])
        elif func is aten.grid_sampler_2d_backward.default:
            result = tuple(map(torch.empty_like, args[1:3]))
        else:
            result = func(*args, **(kwargs or {}))
        for each in tree_leaves((args, kwargs, result)):
            if isinstance(each, Tensor):
                self.met.add(each.device.type)
        return result
