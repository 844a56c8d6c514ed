"""Processes that train one network together, as `torchrun` starts them.

Each process computes its share of every batch and of the clips that are scored. Only rank 0 writes files and prints. A
single process has the whole as its share, and needs no `torch.distributed`.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from convlstm_cli.errors import ConvLSTMError, LostProcessError, RemoteProcessError, UsageError, first_line

T = TypeVar("T")

BACKENDS = {"cuda": "nccl", "xpu": "xccl"}
"""The backend that carries gradients between devices, by their type; gloo for all others."""
PREPARATION = timedelta(days=7)
"""Timeout of messages between processes: how long they wait while one of their machine decodes videos."""


class Ranks:
    """This process, number `rank` from 0 of `world`. Without arguments, the only one."""

    def __init__(self, rank: int = 0, world: int = 1, local_rank: int = 0, local_world: int | None = None) -> None:
        self.rank, self.world = rank, world
        self.local_rank = local_rank
        """Number of this process among those of its machine, from 0."""
        self.local_world = world if local_world is None else local_world
        """Processes on this machine."""
        self._talk: dist.ProcessGroup | None = None

    @classmethod
    def from_environment(cls) -> "Ranks":
        """This process as torchrun's environment variables number it; the only one where there are none.

        Raises UsageError for numbers that contradict each other.
        """
        try:
            world = int(os.environ.get("WORLD_SIZE", 1))
            rank, local_rank = (int(os.environ.get(name, 0)) for name in ("RANK", "LOCAL_RANK"))
            local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        except ValueError:
            raise UsageError("RANK, LOCAL_RANK and WORLD_SIZE must be numbers; unset them, or use torchrun.") from None
        if world == 1:
            return cls()
        if not (0 <= rank < world and 0 <= local_rank < local_world <= world):
            raise UsageError(
                f"RANK is {rank} of WORLD_SIZE {world}, LOCAL_RANK {local_rank} of LOCAL_WORLD_SIZE {local_world}; "
                "unset them, or use torchrun."
            )
        return cls(rank, world, local_rank, local_world)

    def connect(self, device: torch.device) -> None:
        """Connects to the other processes: NCCL between CUDA devices, gloo between CPUs.

        Raises UsageError for a device that cannot train with others, or where the address of rank 0 is missing, and
        LostProcessError where the processes do not reach each other.
        """
        if self.world == 1:
            return
        if device.type == "mps":
            raise UsageError("several processes cannot train on MPS together; add --device cpu, or start only one.")
        if device.type != "cpu":
            torch.get_device_module(device).set_device(device)
        try:
            dist.init_process_group(BACKENDS.get(device.type, "gloo"))
        except ValueError as error:  # such as no MASTER_ADDR
            raise UsageError(f"WORLD_SIZE is {self.world} but {error}; start with torchrun, or unset it.") from error
        except RuntimeError as error:
            where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            raise LostProcessError(
                f"the processes do not reach each other at {where} ({first_line(error)})."
            ) from error
        # A second group, for numbers and objects on the CPU, which may be waited for longer than gradients.
        self._talk = dist.new_group(backend="gloo", timeout=PREPARATION)

    def leave(self) -> None:
        """Closes the connection, so that the process ends without a warning of torch."""
        if self._talk is not None:
            self._talk = None
            dist.destroy_process_group()

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the process that writes files and prints."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every `world`-th item from the `rank`-th on. The shares of all processes hold each item once."""
        return items[self.rank :: self.world]

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network to call in training, whose gradients become the means over all processes."""
        return network if self.world == 1 else DistributedDataParallel(network)

    def of_first(self, value: T) -> T:
        """The value of rank 0, in all processes."""
        if self._talk is None:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._talk)
        return values[0]

    def sum(self, value: float) -> float:
        """The sum of the values of all processes, in all processes."""
        if self._talk is None:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total, group=self._talk)
        return total.item()

    def gather(self, value: T) -> list[T]:
        """The values of all processes in the order of their ranks, in all processes."""
        if self._talk is None:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=self._talk)
        return values

    def wait(self) -> None:
        """Returns when all processes have called it."""
        if self._talk is not None:
            dist.barrier(group=self._talk)

    def first_of_machine(self, work: Callable[[], T]) -> T:
        """Does work whose result stays on disk: one process of each machine first, then the others, which find it.

        Raises what the work raises, and RemoteProcessError where it failed in another process.
        """
        return self._after(work, leads=self.local_rank == 0) if self.world > 1 else work()

    def first(self, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """Lets rank 0 do the work, and the other processes do `otherwise` after it.

        Raises what the work raises, and RemoteProcessError where it failed in another process.
        """
        if self.world == 1:
            return work()
        return self._after(work if self.is_first else otherwise, leads=self.is_first)

    def _after(self, work: Callable[[], T], *, leads: bool) -> T:
        result: list[T] = []
        failure: ConvLSTMError | None = None
        if leads:
            try:
                result.append(work())
            except ConvLSTMError as error:
                failure = error
        codes = self.gather(None if failure is None else failure.exit_code)
        if failure is not None:
            raise failure
        for rank, code in enumerate(codes):
            if code is not None:
                raise RemoteProcessError(f"process {rank} has failed and printed why.", code)
        return result[0] if leads else work()


ALONE = Ranks()


def check_one_process(work: str) -> None:
    """Raises UsageError where torchrun has started several processes, each of which would do the same work."""
    if (world := Ranks.from_environment().world) > 1:
        raise UsageError(f"{work} works in one process, and WORLD_SIZE is {world}; start it without torchrun.")


@contextlib.contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Connects the processes inside the block. After a failure it does not disconnect, which would wait for the others.

    Raises LostProcessError where another process has ended, for which torch has many errors.
    """
    ranks.connect(device)
    try:
        yield
    except RuntimeError as error:
        if ranks.world > 1 and is_lost(error):
            raise LostProcessError(
                "another process of this training has ended, and printed why if it could."
            ) from error
        raise
    ranks.leave()


def is_lost(error: RuntimeError) -> bool:
    """Whether an error is that of a connection to another process."""
    message = str(error).lower()
    signs = ("gloo", "nccl", "xccl", "connection", "timed out waiting", "process group")
    return any(words in message for words in signs)
