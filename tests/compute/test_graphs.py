"""Captured functions, with recorders that need no GPU; and on one, where there is one."""

import contextlib
import itertools
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from fake_graphs import on_the_cpu
from torch import Tensor

from convlstm_cli.compute import graphs
from convlstm_cli.compute.graphs import MOST, WARM_UPS, Captured, CudaRecorder, NotCaptured, why_not

CPU = torch.device("cpu")


class Sum:
    """Adds to a tensor that it keeps, in place; counts the calls of its Python code."""

    def __init__(self) -> None:
        self.total, self.calls = torch.zeros(()), 0

    def __call__(self, one: Tensor, other: Tensor | None = None, factor: int = 1) -> Tensor:
        self.calls += 1
        self.total += factor * (one.sum() if other is None else one.sum() + other.sum())
        return self.total


def test_a_shape_is_captured_once_and_replayed_after_its_arguments_were_copied_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, function, plain = on_the_cpu(monkeypatch), Sum(), Sum()
    captured = Captured(function, CPU)
    for number in range(WARM_UPS + 4):
        argument = torch.full((3,), float(number))
        assert torch.equal(captured([argument]), plain(argument))
        argument.fill_(99.0)  # what was given is not what is read again
    [recorder] = made
    assert (recorder.recorded, recorder.replayed) == (1, 4)


def test_other_shapes_types_constants_and_what_is_left_out_have_graphs_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, function, plain = on_the_cpu(monkeypatch), Sum(), Sum()
    captured = Captured(function, CPU)
    one = torch.ones(2)
    calls: list[tuple[list[Any], int]] = [
        ([one, None], 1),
        ([one, None], 2),
        ([one, one], 1),
        ([torch.ones(3), None], 1),
    ]
    calls.append(([one.double(), None], 1))
    for _ in range(WARM_UPS + 2):
        for arguments, factor in calls:
            assert torch.equal(captured(arguments, factor), plain(arguments[0], arguments[1], factor))
    assert made[0].recorded == len(calls)
    assert made[0].replayed == 2 * len(calls)


def test_no_more_shapes_are_captured_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    made = on_the_cpu(monkeypatch)
    captured = Captured(Sum(), CPU)
    for length in range(1, MOST + 3):
        for _ in range(WARM_UPS + 1):
            captured([torch.ones(length)])
    assert made[0].recorded == MOST


@pytest.mark.parametrize("error", [NotCaptured("too little memory"), RuntimeError("operation not permitted\nmore")])
def test_where_a_capture_fails_the_function_is_called_and_one_note_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    made, plain, notes = on_the_cpu(monkeypatch, error), Sum(), list[str]()
    captured = Captured(Sum(), CPU, note=notes.append)
    for _ in range(WARM_UPS + 5):
        assert torch.equal(captured([torch.ones(2)]), plain(torch.ones(2)))
    assert made[0].replayed == 0
    [note] = notes
    assert note.endswith(f"not as a CUDA graph: {str(error).splitlines()[0]}")
    assert captured.why_not is not None


def test_graphs_are_forgotten_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    made = on_the_cpu(monkeypatch)
    captured = Captured(Sum(), CPU)
    for _ in range(WARM_UPS + 1):
        captured([torch.ones(2)])
    captured.forget()
    for _ in range(WARM_UPS + 1):
        assert [recorder.recorded for recorder in made] == [1, 0]
        captured([torch.ones(2)])
    assert [recorder.recorded for recorder in made] == [1, 1]


def test_the_switch_and_other_devices_leave_functions_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not(CPU) == "none for cpu devices"
    made, notes = on_the_cpu(monkeypatch), list[str]()
    assert why_not(CPU) is None
    monkeypatch.setenv("CONVLSTM_GRAPHS", "off")
    assert why_not(CPU) == "switched off by CONVLSTM_GRAPHS"
    captured = Captured(Sum(), CPU, note=notes.append)
    for _ in range(WARM_UPS + 2):
        captured([torch.ones(2)])
    captured.forget()
    assert not made
    assert not notes  # whoever switches it off knows


class FakeCuda:
    """What `CudaRecorder` uses of torch.cuda, with a list of what was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: list[int]) -> None:
        self.calls: list[str] = []
        self.pools: list[object] = []
        self.began_inferring: list[bool] = []
        free_now = iter(free)
        for name, fake in {
            "Stream": lambda _device: FakeStream("own", self.calls),
            "current_stream": lambda _device: FakeStream("current", self.calls),
            "stream": self.stream,
            "synchronize": lambda _device: self.calls.append("synchronize"),
            "empty_cache": lambda: self.calls.append("empty cache"),
            "mem_get_info": lambda _device: (next(free_now), 100),
            "CUDAGraph": FakeCudaGraph,
            "graph": self.graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextlib.contextmanager
    def stream(self, stream: "FakeStream") -> Iterator[None]:
        self.calls.append(f"enter {stream.name}")
        yield
        self.calls.append(f"leave {stream.name}")

    @contextlib.contextmanager
    def graph(self, _graph: object, *, pool: object, stream: "FakeStream", capture_error_mode: str) -> Iterator[None]:
        self.pools.append(pool)
        self.began_inferring.append(torch.is_inference_mode_enabled())
        self.calls.append(f"capture in {stream.name}, {capture_error_mode}")
        try:
            yield
        except RuntimeError:  # as the end of a capture does after an operation that cannot be captured
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture") from None


class FakeStream:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self._calls = name, calls

    def wait_stream(self, other: "FakeStream") -> None:
        self._calls.append(f"{self.name} waits for {other.name}")


class FakeCudaGraph:
    def replay(self) -> None:
        pass

    def pool(self) -> str:
        return "pool"


def test_a_cuda_graph_is_recorded_in_a_stream_between_all_before_and_all_after_and_shares_its_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(monkeypatch, [90, 80, 80, 75])
    recorder = CudaRecorder(torch.device("cuda", 0))
    with recorder.ordered():
        recording = recorder.record(lambda: torch.ones(3))
        recorder.record(lambda: torch.ones(2))
    assert torch.equal(recording.result, torch.ones(3))
    capture = ["synchronize", "empty cache", "capture in own, thread_local"]
    assert cuda.calls == [
        "own waits for current", "enter own", *capture, *capture, "leave own", "current waits for own"
    ]  # fmt: skip
    assert cuda.pools == [None, "pool"]


def test_a_cuda_graph_that_would_leave_less_memory_than_it_takes_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeCuda(monkeypatch, [90, 40])
    recorder = CudaRecorder(torch.device("cuda", 0))
    with pytest.raises(NotCaptured, match="too little for all else"):
        recorder.record(lambda: torch.ones(3))


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_capture_begins_outside_of_inference_mode_and_its_function_is_called_in_that_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, mode: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    cuda, modes = FakeCuda(monkeypatch, [90, 80]), list[tuple[bool, bool]]()

    def function() -> Tensor:
        modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return torch.ones(2)

    with mode():
        CudaRecorder(torch.device("cuda", 0)).record(function)
        function()
    assert cuda.began_inferring == [False]
    assert modes[0] == modes[1]


def test_of_a_capture_that_fails_the_operation_is_said_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    FakeCuda(monkeypatch, [90])
    monkeypatch.delenv(graphs.SWITCH, raising=False)
    calls, notes = itertools.count(), list[str]()

    def function(x: Tensor) -> Tensor:
        if next(calls) == WARM_UPS:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with")
        return x + 1.0

    captured = Captured(function, torch.device("cuda", 0), note=notes.append)
    with caplog.at_level(logging.DEBUG, graphs.LOG.name):
        for _ in range(WARM_UPS + 2):
            assert torch.equal(captured([torch.zeros(2)]), torch.ones(2))
    [note] = notes
    assert note.endswith(": CUDA error: operation not permitted when stream is capturing")
    [record] = caplog.records
    assert record.exc_info is not None
    assert traceback.extract_tb(record.exc_info[2])[-1].name == "function"  # where it was


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_a_graph_computes_what_its_function_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(graphs.SWITCH, raising=False)
    device, notes = torch.device("cuda", 0), list[str]()
    weight = torch.rand(8, 8, device=device)
    captured = Captured(lambda x: (x @ weight).relu(), device, note=notes.append)
    for number in range(WARM_UPS + 3):
        x = torch.rand(4, 8, device=device)
        weight.mul_(0.5)  # in place, as an optimiser does
        torch.testing.assert_close(captured([x]).clone(), (x @ weight).relu())
        assert bool(captured._kept) == (number >= WARM_UPS)
    assert not notes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_a_capture_in_inference_mode_hinders_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(graphs.SWITCH, raising=False)
    device, notes = torch.device("cuda", 0), list[str]()
    kept = []  # as long as one graph is there, all share what belongs to the generator
    for mode in (torch.inference_mode, torch.enable_grad):
        captured = Captured(lambda x: x + 1.0, device, note=notes.append)
        with mode():
            for number in range(WARM_UPS + 2):
                x = torch.full((3,), float(number), device=device)
                assert torch.equal(captured([x]), x + 1.0)
        kept.append(captured)
    assert not notes
