"""Functions whose operations a GPU launches together: CUDA graphs, one for each shape of the arguments.

A small network is launched, not computed: a step of it is thousands of short operations, and launching them one by one
takes longer than computing them. A graph launches all of them at once. `CONVLSTM_GRAPHS=off` switches graphs off; then,
and wherever a function cannot be captured, its operations are launched one by one and compute the same.
"""

import contextlib
import functools
import logging
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from convlstm_cli.errors import first_line

LOG = logging.getLogger(__name__)
SWITCH = "CONVLSTM_GRAPHS"
"""Environment variable that switches graphs off."""
WARM_UPS = 3
"""Calls of a shape before it is captured. In these, kernels are compiled and chosen; and what comes once or twice, such
as a single forecast, is not worth a capture."""
MOST = 8
"""Shapes of one function that are captured; each graph keeps memory."""


class NotCaptured(Exception):
    """Says in a few words why a function has no graph."""


class Recording(NamedTuple):
    """The operations of one call."""

    replay: Callable[[], Any]
    """Computes them again, from what lies in the same memory then."""
    result: Tensor
    """What they compute; it holds after a replay and until the next."""


class Recorder(Protocol):
    """How a kind of device records operations."""

    def ordered(self) -> contextlib.AbstractContextManager[None]:
        """A block whose operations come after all that was launched before it, and before all that is launched later.

        Recordings are made and replayed in such blocks only.
        """

    def record(self, function: Callable[[], Tensor]) -> Recording:
        """Records a call, without computing it. Raises NotCaptured, or what torch raises, where that cannot be."""


class CudaRecorder:
    """Records CUDA graphs in a stream of its own; their intermediate results share one pool of memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool: Any = None

    @contextlib.contextmanager
    def ordered(self) -> Iterator[None]:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            current.wait_stream(self._stream)

    def record(self, function: Callable[[], Tensor]) -> Recording:
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self._device)
        graph = torch.cuda.CUDAGraph()
        # All graphs share tensors of CUDA's generator, which the first capture makes. Where it made them in inference
        # mode, none outside of that could begin (pytorch/pytorch#166792).
        inferring = torch.is_inference_mode_enabled()
        around, within = (torch.inference_mode(on) if inferring else contextlib.nullcontext() for on in (False, True))
        # Other threads, such as one that writes forecasts, may go on with CUDA meanwhile.
        mode = "thread_local"
        try:
            with (
                around,
                torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode=mode),
                within,
            ):
                result = function()
        except Exception as error:
            # Where an operation cannot be captured, the end of the capture fails too, and does not say which.
            raise (error.__context__ or error) from None
        left, _ = torch.cuda.mem_get_info(self._device)
        if left < free - left:
            raise NotCaptured("a graph keeps its memory, which would leave too little for all else")
        self._pool = graph.pool()
        return Recording(graph.replay, result)


RECORDERS: dict[str, Callable[[torch.device], Recorder]] = {"cuda": CudaRecorder}
"""By the type of a device."""


def why_not(device: torch.device) -> str | None:
    """None if graphs are used on this device; else why not, in a few words."""
    if device.type not in RECORDERS:
        return f"none for {device.type} devices"
    return f"switched off by {SWITCH}" if os.environ.get(SWITCH) == "off" else None


class _Kept(NamedTuple):
    buffers: list[Tensor | None]
    recording: Recording


class Captured:
    """A function of tensors that is captured once for each shape of its arguments, and replayed from then on.

    The function may change tensors that it has otherwise, such as weights, but in place only; it asks the device
    nothing, and what it reads of the CPU is the same in all calls.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        device: torch.device,
        *,
        note: Callable[[str], None] = LOG.warning,
    ) -> None:
        """`note` receives a message if a capture fails; by default the log of Python does."""
        self.why_not = why_not(device)
        """Why the operations are launched one by one; None while they are captured."""
        self._function, self._device, self._note = function, device, note
        self._calls: Counter[Hashable] = Counter()
        self._kept: dict[Hashable, _Kept] = {}
        if self.why_not is None:
            self._recorder = RECORDERS[device.type](device)

    def __call__(self, arguments: Sequence[Tensor | None], *constants: Hashable) -> Tensor:
        """The function of the arguments, then the constants; the result holds until the next call."""
        if self.why_not is not None:
            return self._function(*arguments, *constants)
        shapes = tuple(None if each is None else (each.shape, each.dtype) for each in arguments)
        with self._recorder.ordered():
            kept = self._kept.get((shapes, constants)) or self._capture((shapes, constants), arguments, constants)
            if kept is None:
                return self._function(*arguments, *constants)
            for buffer, argument in zip(kept.buffers, arguments, strict=True):
                if buffer is not None and argument is not None:
                    buffer.copy_(argument, non_blocking=True)
            kept.recording.replay()
            return kept.recording.result

    def forget(self) -> None:
        """Drops all graphs, because tensors that the function has otherwise are not where they were."""
        self._kept.clear()
        self._calls.clear()  # it may have to make some of them first
        if self.why_not is None:
            self._recorder = RECORDERS[self._device.type](self._device)

    def _capture(
        self, key: Hashable, arguments: Sequence[Tensor | None], constants: tuple[Hashable, ...]
    ) -> _Kept | None:
        """The graph of a shape; None before its time, and where there cannot be one."""
        self._calls[key] += 1
        if self._calls[key] <= WARM_UPS or len(self._kept) >= MOST:
            return None
        buffers = [None if each is None else each.clone() for each in arguments]
        call = functools.partial(self._function, *buffers, *constants)
        try:
            recording = self._recorder.record(call)
        except Exception as error:  # whatever capturing meets, the function can be computed without it
            LOG.debug("no CUDA graph, because", exc_info=error)
            self._give_up(first_line(error))
            return None
        self._kept[key] = _Kept(buffers, recording)
        return self._kept[key]

    def _give_up(self, why: str) -> None:
        self.why_not = why
        self._kept.clear()
        self._note(f"operations are launched one by one, not as a CUDA graph: {why}")
