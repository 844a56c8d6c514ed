"""CUDA graphs without a GPU: recorded functions that are called again at each replay."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from convlstm_cli.compute import graphs
from convlstm_cli.compute.graphs import Recording


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
