"""Several processes that train one network together, as `torchrun` starts them.

Each takes its share of every batch and of the clips that are scored; the first alone writes and speaks. A single
process is the same with a share of everything, and needs no `torch.distributed`.
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

from convlstm_cli.errors import ConvLSTMError, ElsewhereError, LostError, UsageError, first_line

T = TypeVar("T")

BACKENDS = {"cuda": "nccl", "xpu": "xccl"}
"""What carries gradients between devices; gloo between CPUs."""
PREPARATION = timedelta(days=7)
"""Time for which processes wait while the first of their machine decodes videos."""


class Ranks:
    """One process among `world`; its number `rank` counts from 0. Without arguments, the only one."""

    def __init__(self, rank: int = 0, world: int = 1, local_rank: int = 0, local_world: int | None = None) -> None:
        self.rank, self.world = rank, world
        self.local_rank = local_rank
        """Number of this process among those of its machine, from 0."""
        self.local_world = world if local_world is None else local_world
        """Processes on this machine."""
        self._talk: dist.ProcessGroup | None = None

    @classmethod
    def from_environment(cls) -> "Ranks":
        """This process as torchrun numbered it; the only one where nothing did.

        Raises UsageError for numbers that make no sense.
        """
        try:
            world = int(os.environ.get("WORLD_SIZE", 1))
            rank, local_rank = (int(os.environ.get(name, 0)) for name in ("RANK", "LOCAL_RANK"))
            local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        except ValueError:
            raise UsageError(
                "RANK, LOCAL_RANK and WORLD_SIZE are to be numbers; unset them, or use torchrun."
            ) from None
        if world == 1:
            return cls()
        if not (0 <= rank < world and 0 <= local_rank < local_world <= world):
            raise UsageError(
                f"RANK is {rank} of WORLD_SIZE {world}, LOCAL_RANK {local_rank} of LOCAL_WORLD_SIZE {local_world}; "
                "unset them, or use torchrun."
            )
        return cls(rank, world, local_rank, local_world)

    def connect(self, device: torch.device) -> None:
        """Joins the others: NCCL between CUDA devices, gloo between CPUs.

        Raises UsageError on a device that cannot train with others, or where torchrun has not said where they are.
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
            raise LostError(f"the processes do not reach each other at {where} ({first_line(error)}).") from error
        # Beside the group of the devices, since what is told is numbers and objects on the CPU, and may take long.
        self._talk = dist.new_group(backend="gloo", timeout=PREPARATION)

    def leave(self) -> None:
        """Takes leave of the others, so that the process ends without complaint."""
        if self._talk is not None:
            self._talk = None
            dist.destroy_process_group()

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every `world`-th item, from the `rank`-th on: together the shares are the whole, and no item is in two."""
        return items[self.rank :: self.world]

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network as it is to be called in training: its gradients become the means over all processes."""
        return network if self.world == 1 else DistributedDataParallel(network)

    def of_first(self, value: T) -> T:
        """What the first process has here."""
        if self._talk is None:
            return value
        told = [value]
        dist.broadcast_object_list(told, src=0, group=self._talk)
        return told[0]

    def sum(self, value: float) -> float:
        """The sum of what the processes have here, the same for all."""
        if self._talk is None:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total, group=self._talk)
        return total.item()

    def gather(self, value: T) -> list[T]:
        """What every process has here, in the order of the ranks."""
        if self._talk is None:
            return [value]
        told: list[Any] = [None] * self.world
        dist.all_gather_object(told, value, group=self._talk)
        return told

    def wait(self) -> None:
        """Goes on when all others are here."""
        if self._talk is not None:
            dist.barrier(group=self._talk)

    def first_of_machine(self, work: Callable[[], T]) -> T:
        """Does work whose result stays on disk: one process of each machine before the others, who find it there.

        Raises what the work raises, and ElsewhereError where it was the work of another process.
        """
        return self._after(work, leads=self.local_rank == 0) if self.world > 1 else work()

    def first(self, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """Lets the first process work, and the others do something else when that is done.

        Raises what the work raises, and in the other processes ElsewhereError then.
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
                raise ElsewhereError(f"process {rank} has failed and said why.", code)
        return result[0] if leads else work()


ALONE = Ranks()


@contextlib.contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Connects the processes inside the block. After a failure it does not take leave, which would wait for the others.

    Raises LostError where another process has ended, which torch tells in many ways.
    """
    ranks.connect(device)
    try:
        yield
    except RuntimeError as error:
        if ranks.world > 1 and is_lost(error):
            raise LostError("another process of this training has ended, and said why if it could.") from error
        raise
    ranks.leave()


def is_lost(error: RuntimeError) -> bool:
    """Whether an error is that of a connection to another process."""
    told = str(error).lower()
    return any(words in told for words in ("gloo", "nccl", "xccl", "connection", "timed out waiting", "process group"))
