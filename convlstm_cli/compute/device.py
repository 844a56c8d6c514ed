"""Which accelerator and which precision a command computes with."""

import contextlib
from dataclasses import dataclass

import torch

from convlstm_cli.compute import memory
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.errors import UsageError
from convlstm_cli.settings import Precision

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device and the type that convolutions compute in; states, weights and losses stay float32."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Context in which the forward pass runs."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    @property
    def precision(self) -> str:
        """`fp32`, `bf16` or `fp16`."""
        return next(name for name, dtype in TYPES.items() if dtype == self.dtype)

    def __str__(self) -> str:
        return f"{self.device} {self.precision}"


def accelerators() -> list[torch.device]:
    """The accelerators that torch can use here, best first, without the CPU."""
    if not torch.accelerator.is_available():
        return []
    kind = torch.accelerator.current_accelerator()
    assert kind is not None
    return [torch.device(kind.type, index) for index in range(torch.accelerator.device_count())]


def choose(
    device: str = "auto", precision: Precision = "auto", ranks: Ranks = ALONE, *, learning: bool = False
) -> Compute:
    """Resolves `--device` and `--precision`. Each process of a machine takes an accelerator of its own.

    `auto` is fp32 for forecasts. For optimiser steps (`learning`) it is bf16 on a CPU that multiplies matrices of
    bf16 in hardware: the learning curves are the same, and a step takes half the time (scripts/README.md).

    Raises UsageError for a device that is not there, or fewer accelerators than processes.
    """
    found = accelerators()
    if ranks.world > 1 and device not in ("auto", "cpu", *(each.type for each in found)):
        raise UsageError(f"--device is {device!r}, for {ranks.world} processes; give auto, cpu, cuda or xpu.")
    if ranks.world > 1 and device != "cpu" and found:
        if ranks.local_world > len(found):
            raise UsageError(
                f"{ranks.local_world} processes on a machine that has {len(found)} of the accelerators that each takes "
                "one of; start as many with torchrun --nproc-per-node, or add --device cpu."
            )
        chosen = found[ranks.local_rank]
    elif device == "auto":
        chosen = found[0] if found else torch.device("cpu")
    else:
        try:
            chosen = torch.device(device)
        except RuntimeError:
            raise UsageError(f"--device is {device!r}; give auto, cpu, cuda, cuda:1, mps or xpu.") from None
        if chosen.type != "cpu":
            if ":" not in device:
                chosen = torch.device(chosen.type, 0)
            if chosen not in found:
                there = ", ".join(map(str, found)) or "only the CPU"
                raise UsageError(f"--device is {device!r}, which is not here; torch finds {there}.")
    if precision == "auto":
        # On NVIDIA GPUs fp32 has tf32 convolutions, as torch has it; bf16 learns a little worse (scripts/README.md).
        quicker = learning and chosen.type == "cpu" and multiplies_bf16()
        return Compute(chosen, torch.bfloat16 if quicker else torch.float32)
    return Compute(chosen, TYPES[precision])


def multiplies_bf16() -> bool:
    """Whether the processor has instructions for products of bf16 matrices (AMX); False where torch cannot tell."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in torch 2.6
    return bool(capabilities is not None and capabilities().get("amx_bf16"))


def free_memory(device: torch.device) -> int | None:
    """Free memory of a device in bytes; None where that is not known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return memory.free_memory() if device.type in ("cpu", "mps") else None  # MPS computes in the system's memory
