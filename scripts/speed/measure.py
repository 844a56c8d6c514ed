"""Measurement rounds in which the systems take turns, and the ratios of their times."""

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.terminal import say
from speed.processes import Failed, Worker
from speed.shapes import Shape
from speed.systems import System

CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}

SLOW_SECONDS, SLOW_ROUNDS = 10.0, 2
"""A system whose step takes longer than SLOW_SECONDS is measured in SLOW_ROUNDS rounds only."""

Rounds = dict[str, list[float]]
"""Seconds of each round, by system."""


class Group:
    """Worker processes that have built the same networks; a context manager that ends them."""

    def __init__(self, systems: Sequence[System], shapes: Sequence[Shape], common: dict[str, Any]) -> None:
        self._stack = contextlib.ExitStack()
        self.failures: list[dict[str, str]] = []
        self.about: dict[str, dict[str, str]] = {}
        self._workers: dict[str, Worker] = {}
        with self._stack:  # ends the workers already started if this is interrupted
            for system in systems:
                self._start(system, shapes, common)
            self._stack = self._stack.pop_all()

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, system: System, shapes: Sequence[Shape], common: dict[str, Any]) -> None:
        say(f"  starting {system.name}")
        try:
            environment = CPU_ONLY if common["device"] == "cpu" else {}
            worker = Worker(system.python, common | system.request, environment | system.environment)
        except Failed as why:
            self._failed(system.name, shapes[0].name, why)
            return
        self._stack.callback(worker.close)
        self.about[system.name] = worker.about
        self._workers[system.name] = worker
        for shape in shapes:
            self._ask(system.name, shape, {"do": "build", "shape": asdict(shape)})

    def rounds(self, shapes: Sequence[Shape], mode: str, count: int) -> tuple[list[Rounds], list[dict[str, float]]]:
        """Seconds of every system in each shape, and of the parts of the floor, after one warm-up round.

        A system that fails in one shape is omitted from all; a very slow one takes part in the first rounds only.
        """
        seconds: list[Rounds] = [{name: [] for name in self._workers} for _ in shapes]
        parts: list[dict[str, float]] = []
        for number in range(count + 1):
            for shape, of_systems in zip(shapes, seconds, strict=True):
                say(f"  {shape.name} {mode}: " + (f"round {number} of {count}" if number else "warming up"))
                for name in list(self._workers):
                    if len(of_systems[name]) == SLOW_ROUNDS and min(of_systems[name]) > SLOW_SECONDS:
                        continue
                    reply = self._ask(name, shape, {"do": "run", "shape": shape.name, "mode": mode})
                    if reply is None or number == 0:
                        continue
                    of_systems[name].append(reply["seconds"])
                    if "parts" in reply:
                        parts.append(reply["parts"])
        left = list(self._workers)
        return [{name: of_systems[name] for name in left} for of_systems in seconds], parts

    def memory(self, shape: Shape) -> dict[str, dict[str, float]]:
        """Peak memory of every process and its growth, in MB."""
        replies = {name: self._ask(name, shape, {"do": "memory", "shape": shape.name}) for name in list(self._workers)}
        return {name: reply for name, reply in replies.items() if reply is not None}

    def _ask(self, name: str, shape: Shape, message: dict[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None, and the worker is removed, if it fails."""
        worker = self._workers.get(name)
        if worker is None:
            return None
        try:
            return worker.ask(message)
        except Failed as why:
            self._failed(name, shape.name, why)
            self._workers.pop(name).close()
            return None

    def _failed(self, system: str, shape: str, why: Failed) -> None:
        self.failures.append({"system": system, "shape": shape, "reason": str(why)})
        say(f"  {system} is omitted from {shape}: {why}")


def floor_rounds(parts: Sequence[dict[str, float]], steps: int) -> tuple[list[float], dict[str, float]]:
    """Seconds of the floor in each round, and the median ms of each convolution in its faster order.

    The order is chosen by the medians, once for all rounds.
    """
    medians = {key: statistics.median(part[key] for part in parts) for key in parts[0]}
    fastest: dict[str, str] = {}
    for key in medians:
        convolution = key.rsplit(" ", 1)[0]
        best = fastest.setdefault(convolution, key)
        if medians[key] < medians[best]:
            fastest[convolution] = key
    seconds = [steps * sum(part[key] for key in fastest.values()) for part in parts]
    return seconds, {key: medians[key] * 1e3 for key in fastest.values()}


def ratios(times: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    """The ratio of two systems' times over the rounds that both took part in: median, least and greatest."""
    found = [a / b for a, b in zip(times, base, strict=False)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}
