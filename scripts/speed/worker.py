"""The process that measures one system: `python -m speed.worker REQUEST` answers each line of JSON with one line.

{"do": "build", "shape": {...}}                     makes a network and its input
{"do": "run", "shape": NAME, "mode": "train"}       runs one step and reports its seconds
{"do": "memory", "shape": NAME}                     peak memory in MB, and its growth since the network was made
{"do": "convolutions", "rounds": N, "tiny": false}  the table of single convolutions
"""

import ctypes
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.machine import peak_mb
from speed.shapes import Shape
from speed.step import Measured, Step


def main() -> None:
    # Libraries print to stdout as well; the parent reads answers only.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    request = json.loads(sys.argv[1])
    _end_with_parent()

    def answer(work: Callable[[], dict[str, Any]]) -> bool:
        try:
            content = work()
        except Exception as error:
            first = next(iter(str(error).strip().splitlines()), "")
            content = {"error": f"{type(error).__name__}: {first}"}
        answers.write(json.dumps(content) + "\n")
        return "error" not in content

    systems: list[Measured] = []

    def start() -> dict[str, Any]:
        if request["threads"] is not None:
            _limit_threads(request["threads"])
        if request["allocator"] == "keep":
            from convlstm_cli.compute.memory import keep_freed_memory

            keep_freed_memory()
        systems.append(make(request))
        return systems[0].about

    if not answer(start):
        return
    handler = Handler(systems[0], request["device"])
    for line in sys.stdin:
        message = json.loads(line)
        answer(lambda message=message: getattr(handler, message["do"])(message))  # type: ignore[misc]


def make(request: dict[str, Any]) -> Measured:
    """The system of a request. Imports only what that system needs, since each one has libraries of its own."""
    kind = request["kind"]
    if kind == "keras":
        from speed import keras_systems

        return keras_systems.make(request)
    if kind == "floor":
        from speed import floor

        return floor.make(request)
    from speed import torch_systems

    return {"ours": torch_systems.ours, "plain": torch_systems.plain, "file": torch_systems.from_file}[kind](request)


class Handler:
    """Carries out the parent's messages; each method is the message of its name."""

    def __init__(self, system: Measured, device: str) -> None:
        self._system, self._device = system, device
        self._steps: dict[str, dict[str, Step]] = {}
        self._before: dict[str, float] = {}

    def build(self, message: dict[str, Any]) -> dict[str, Any]:
        shape = Shape.read(message["shape"])
        self._steps[shape.name] = self._system.build(shape)
        self._before[shape.name] = _resident_mb() if self._device == "cpu" else _allocated_mb(self._device)
        return {}

    def run(self, message: dict[str, Any]) -> dict[str, Any]:
        step = self._steps[message["shape"]][message["mode"]]
        began = time.perf_counter()
        result = step()
        seconds = time.perf_counter() - began
        if isinstance(result, dict):
            return {"seconds": seconds, "parts": result}
        if not math.isfinite(result):
            raise ArithmeticError(f"the loss is {result}")
        return {"seconds": seconds}

    def memory(self, message: dict[str, Any]) -> dict[str, Any]:
        peak = _peak_mb() if self._device == "cpu" else _allocated_mb(self._device, peak=True)
        return {"peak_mb": peak, "growth_mb": peak - self._before[message["shape"]]}

    def convolutions(self, message: dict[str, Any]) -> dict[str, Any]:
        from speed import convolutions

        return {"rows": convolutions.table(message["rounds"], tiny=message["tiny"])}


def _peak_mb() -> float:
    return peak_mb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _allocated_mb(device: str, *, peak: bool = False) -> float:
    """Memory of a GPU that torch has allocated now, or at most so far."""
    import torch

    return (torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)) / 2**20


def _resident_mb() -> float:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - nothing but this line is read
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return _peak_mb()


def _limit_threads(threads: int) -> None:
    """Limits the threads of every library, before it is imported: most start one for each core that they may use."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _end_with_parent() -> None:
    """Ends this process when its parent ends: a killed parent cannot end a worker that it has stopped; Linux can."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main()
