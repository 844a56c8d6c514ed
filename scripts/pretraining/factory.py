"""Processes that make clips, and the shared memory in which they hand them over.

Imports no torch: what a worker imports costs time and memory in each of them.
"""

import contextlib
import multiprocessing
import os
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
Clips = NDArray[np.uint8]
"""(N, T, H, W, C)."""

CHUNK = 16
"""Clips that are handed over at a time."""


@dataclass(frozen=True)
class Order:
    """A chunk of clips to be made."""

    slot: int
    first: int
    """Number of the first clip; a clip's number and the seed decide it."""
    size: Size


@dataclass(frozen=True)
class Kind:
    """What all clips have in common."""

    frames: int
    channels: int
    seed: int

    def shape(self, size: Size) -> tuple[int, ...]:
        """Shape of a chunk of clips."""
        return CHUNK, self.frames, *size, self.channels

    def bytes(self, size: Size) -> int:
        """Bytes of a chunk of clips."""
        return int(np.prod(self.shape(size)))


class Factory:
    """Workers that make clips of several sizes in turn, without end.

    Which clips there are depends on the seed alone; in which order they come, on how fast each worker is.
    """

    def __init__(self, kind: Kind, sizes: tuple[Size, ...], workers: int, first: int = 0) -> None:
        self._kind, self._sizes = kind, sizes
        self._next = first
        self._slot_bytes = max(kind.bytes(size) for size in sizes)
        slots = 3 * workers + 2
        self._memory = SharedMemory(create=True, size=slots * self._slot_bytes)
        context = multiprocessing.get_context("spawn")  # a fork would inherit the device and torch's threads
        self._orders: Any = context.Queue()
        self._done: Any = context.Queue()
        for slot in range(slots):
            self._order(slot)
        arguments = (self._memory.name, self._slot_bytes, kind, self._orders, self._done)
        self._workers = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    @property
    def made(self) -> int:
        """Number of the next clip to be ordered."""
        return self._next

    def take(self, patience: float = 0.0) -> tuple[Size, Clips] | None:
        """A chunk that is finished, copied; None where there is none within so many seconds."""
        try:
            order = self._done.get(timeout=patience) if patience else self._done.get_nowait()
        except queue.Empty:
            dead = [worker.exitcode for worker in self._workers if worker.exitcode is not None]
            if dead:
                raise RuntimeError(f"a process that makes clips ended with exit code {dead[0]}") from None
            return None
        clips = _view(self._memory, self._slot_bytes, order, self._kind).copy()
        self._order(order.slot)
        return order.size, clips

    def close(self) -> None:
        """Ends the workers and gives the memory back."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()
        self._memory.close()
        with contextlib.suppress(FileNotFoundError):
            self._memory.unlink()

    def _order(self, slot: int) -> None:
        size = self._sizes[(self._next // CHUNK) % len(self._sizes)]
        self._orders.put(Order(slot, self._next, size))
        self._next += CHUNK


def write_folder(folder: Path, count: int, kind: Kind, sizes: tuple[Size, ...], workers: int) -> None:
    """Writes `count` clips of each size, as FOLDER/HEIGHTxWIDTH/NUMBER.npy of `CHUNK` clips."""
    wanted = dict.fromkeys(sizes, -(-count // CHUNK))
    for size in wanted:
        (folder / f"{size[0]}x{size[1]}").mkdir(parents=True, exist_ok=True)
    factory = Factory(kind, tuple(wanted), workers)
    begun, numbers = time.monotonic(), dict.fromkeys(wanted, 0)
    try:
        while any(numbers[size] < wanted[size] for size in wanted):
            taken = factory.take(1.0)
            if taken is None or numbers[taken[0]] >= wanted[taken[0]]:
                continue
            size, clips = taken
            np.save(folder / f"{size[0]}x{size[1]}" / f"{numbers[size]:06d}.npy", clips)
            numbers[size] += 1
    finally:
        factory.close()
    made = CHUNK * sum(numbers.values())
    print(f"{folder}: {made} clips, {made / (time.monotonic() - begun):.0f} a second", flush=True)


def read_folder(folder: Path, size: Size) -> Iterator[Clips]:
    """The chunks that `write_folder` wrote of a size."""
    for path in sorted((folder / f"{size[0]}x{size[1]}").glob("*.npy")):
        yield np.load(path)


def _view(memory: SharedMemory, slot_bytes: int, order: Order, kind: Kind) -> Clips:
    shape = kind.shape(order.size)
    return np.ndarray(shape, np.uint8, memory.buf, order.slot * slot_bytes)


def _work(name: str, slot_bytes: int, kind: Kind, orders: Any, done: Any) -> None:
    """What a worker does until it is ended."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from convlstm_cli import synthetic
    from convlstm_cli.video.opencv import cv2

    cv2.setNumThreads(1)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)  # the process that trains comes first
    memory = SharedMemory(name=name)
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            order = orders.get(timeout=5.0)
        except queue.Empty:
            continue
        into = _view(memory, slot_bytes, order, kind)
        height, width = order.size
        for index in range(CHUNK):
            seed = kind.seed * 1_000_000_007 + order.first + index
            into[index] = synthetic.clip(seed, kind.frames, height, width, kind.channels)
        del into
        done.put(order)
