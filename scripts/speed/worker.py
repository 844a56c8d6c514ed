"""The process of one system: `python -m speed.worker REQUEST`, then a line of JSON for each line of JSON.

{"do": "build", "shape": {...}}                     makes a network and its input
{"do": "run", "shape": NAME, "mode": "train"}       one step, and its seconds
{"do": "memory", "shape": NAME}                     peak in MB so far, and its growth since the network was made
{"do": "convolutions", "rounds": N, "tiny": false}  the table of convolutions
"""

import ctypes
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from speed.shapes import Shape

Step = Callable[[], Any]
"""One step, done when it returns: its loss, or what its parts took."""


class System(Protocol):
    """Something that is measured."""

    about: dict[str, str]
    """Versions, and what else decides on its speed."""

    def build(self, shape: Shape) -> dict[str, Step]:
        """The steps "train" and "infer" of a new network."""


MAKERS = {
    "ours": "speed.torch_systems:ours",
    "plain": "speed.torch_systems:plain",
    "file": "speed.torch_systems:from_file",
    "keras": "speed.keras_systems:make",
    "floor": "speed.floor:make",
}


def main() -> None:
    # Libraries print; only answers may go where the parent reads.
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

    systems: list[System] = []

    def start() -> dict[str, Any]:
        if request["threads"] is not None:
            _limit_threads(request["threads"])
        if request["allocator"] == "keep":
            importlib.import_module("convlstm_cli.memory").keep_freed_memory()
        module, function = MAKERS[request["kind"]].split(":")
        systems.append(getattr(importlib.import_module(module), function)(request))
        return systems[0].about

    if not answer(start):
        return
    handler = Handler(systems[0])
    for line in sys.stdin:
        message = json.loads(line)
        answer(lambda message=message: getattr(handler, message["do"])(message))  # type: ignore[misc]


class Handler:
    """Does what the parent asks for."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._steps: dict[str, dict[str, Step]] = {}
        self._before: dict[str, float] = {}

    def build(self, message: dict[str, Any]) -> dict[str, Any]:
        shape = Shape.read(message["shape"])
        self._steps[shape.name] = self._system.build(shape)
        self._before[shape.name] = _resident_mb()
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
        peak = _peak_mb()
        return {"peak_mb": peak, "growth_mb": peak - self._before[message["shape"]]}

    def convolutions(self, message: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module("speed.convolutions")
        return {"rows": module.table(message["rounds"], tiny=message["tiny"])}


def _peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _resident_mb() -> float:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - nothing but this line is read
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return _peak_mb()


def _limit_threads(threads: int) -> None:
    """For every library alike, before it is imported: most count the cores that they may use."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _end_with_parent() -> None:
    """A parent that is killed outright cannot end a worker that it has stopped; Linux can."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main()
