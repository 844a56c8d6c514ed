"""Which implementation of the gate arithmetic computes, by what the device is.

`KERNELS` names the devices for which there is a kernel: the CPU (`native.py`) and CUDA (`triton.py`). On every other
device, such as meta, MPS and XPU, and where a kernel is missing or fails its self-test, `EagerGates` computes.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.cell import PAPER, CellRules, Peepholes
from convlstm_cli.nn.gates.eager import EagerGates
from convlstm_cli.nn.gates.native import SOURCES, NativeGates
from convlstm_cli.nn.gates.protocol import FusingGates, Gates, as_fusing, has_kernel_for
from convlstm_cli.nn.kinds import PEEPHOLES


class Kernel(NamedTuple):
    """A compiled implementation."""

    dtypes: tuple[torch.dtype, ...]
    """Types of gates that it takes."""
    load: Callable[[torch.dtype], type[Gates]]
    """The implementation for a type of gates; raises c_kernels.NotAvailable where there is none."""


def choose(
    peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
) -> Gates:
    """The fastest implementation for gates of a type, cell states like `c`, and a memory order."""
    if c.dtype == torch.float32 and has_kernel_for(peepholes, rules):
        case = _case(peepholes, rules)
        if why_no_kernel(dtype, c.device, case, channels_last) is None:
            make = KERNELS[c.device.type].load(dtype)
            return make(peepholes, rules, dtype, c, channels_last=channels_last)
    return EagerGates(peepholes, rules)


@functools.cache
def why_no_kernel(
    dtype: torch.dtype, device: torch.device, rules: CellRules = PAPER, channels_last: bool = True
) -> str | None:
    """None if a kernel computes gates of this type on this device; else why not, in a few words.

    The kernel runs once on a small example, with the rules and the memory order at hand: one that computes something
    else than torch does (a compiler's fault) is not used. So each case is tested before its first use, and a process
    pays for no case that it does not use. Raises torch.OutOfMemoryError, which says nothing about the kernel.
    """
    kernel = KERNELS.get(device.type)
    if kernel is None:
        return f"none for {device.type} devices"
    if dtype not in kernel.dtypes:
        return f"none for {dtype}"
    try:
        return first_difference(kernel.load(dtype), dtype, device, rules, channels_last=channels_last)
    except c_kernels.NotAvailable as reason:
        return str(reason)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # Triton's compiler raises errors of many types, and each means that there is no kernel
        lines = str(error).splitlines() or [type(error).__name__]
        return f"its self-test failed: {lines[0]}"


def first_difference(
    kernel: type[Gates], dtype: torch.dtype, device: torch.device, rules: CellRules, *, channels_last: bool
) -> str | None:
    """None if the kernel computes what `EagerGates` does, forward and backward; else what differs, in a few words."""
    order = torch.channels_last if channels_last else torch.contiguous_format
    batch, hidden, height, width = 2, 5, 3, 3
    # Types and devices are named, because the caller may have set other defaults.
    values = torch.linspace(-4.0, 4.0, batch * 4 * hidden * height * width, device=device, dtype=torch.float32)
    values = values.roll(7).view(batch, 4 * hidden, height, width).contiguous(memory_format=order)
    c_before = values[:, :hidden].contiguous(memory_format=order)
    peepholes = _example_peepholes(rules, hidden, (height, width), device)
    theirs = EagerGates(peepholes, rules)
    ours = kernel(peepholes, rules, dtype, c_before, channels_last=channels_last)
    expected, found = _forward(theirs, values.to(dtype), c_before), _forward(ours, values.to(dtype), c_before)
    if (fusing := as_fusing(ours)) is not None:
        expected |= _forward_sum(theirs, values.to(dtype), c_before)
        found |= _forward_sum(fusing, values.to(dtype), c_before)
    # Both from the same activated gates: at the kinks of a hard sigmoid rounding decides what the gradient is.
    expected |= _backward(theirs, expected["activated gates"], c_before, expected["c"])
    found |= _backward(ours, expected["activated gates"], c_before, expected["c"])
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    for name, value in expected.items():
        if not torch.allclose(found[name].float(), value.float(), rtol=tolerance, atol=tolerance):
            return f"it does not compute what torch does ({name})"
    return None


def _forward(gates: Gates, values: Tensor, c_before: Tensor) -> dict[str, Tensor]:
    inside, c, h = values.clone(), c_before.clone(), c_before.to(values.dtype, copy=True)
    gates.forward(inside, c_before, c, h, keep=True)
    return {"activated gates": inside, "c": c, "h": h}


def _forward_sum(gates: FusingGates, values: Tensor, c_before: Tensor) -> dict[str, Tensor]:
    """`_forward` with everything that may be added to the gates, and with a second copy of c."""
    inside, c, h = values.clone(), c_before.clone(), c_before.to(values.dtype, copy=True)
    bias, kept = torch.linspace(-1.0, 1.0, values.shape[1], device=values.device, dtype=c.dtype), h.clone()
    gates.forward(inside, c_before, c, h, keep=True, more=-0.5 * values, bias=bias, c_kept=kept)
    return {"activated gates of a sum": inside, "c of a sum": c, "h of a sum": h, "c that is kept": kept}


def _backward(gates: Gates, activated: Tensor, c_before: Tensor, c: Tensor) -> dict[str, Tensor]:
    grad_h, grad_c, out = c_before.to(activated.dtype), c_before.clone(), torch.zeros_like(activated)
    gates.backward(activated, c_before, c, (grad_h, grad_h), grad_c, out)
    sums = gates.sums()
    peepholes = {f"gradient to W_c{gate}": grad for gate, grad in zip("ifo", sums.peepholes or (), strict=False)}
    return {"gradient to c": grad_c, "gradient to the gates": out, "gradient to the bias": sums.bias, **peepholes}


def _case(peepholes: Peepholes | None, rules: CellRules) -> CellRules:
    """The rules that decide which code a kernel runs; rules that run the same code share one self-test."""
    clip = None if rules.cell_clip is None else 0.5  # a bound that the example meets
    return rules._replace(padding="same", cell_clip=clip, peephole="none" if peepholes is None else rules.peephole)


def _example_peepholes(rules: CellRules, hidden: int, size: tuple[int, int], device: torch.device) -> Peepholes | None:
    make_shape = PEEPHOLES[rules.peephole].shape
    if make_shape is None:
        return None
    shape = torch.Size(make_shape(hidden, size))
    weights = torch.linspace(-1.0, 1.0, 3 * shape.numel(), device=device, dtype=torch.float32)
    return Peepholes(*weights.view(3, *shape))


def _load_native(dtype: torch.dtype) -> type[Gates]:
    c_kernels.load(SOURCES[dtype])
    return NativeGates


def _load_triton(_dtype: torch.dtype) -> type[Gates]:
    try:  # here, because Triton is slow to import and not installed everywhere
        from convlstm_cli.nn.gates.triton import TritonGates
    except ImportError:
        raise c_kernels.NotAvailable("Triton is not installed") from None
    return TritonGates


KERNELS = {
    "cpu": Kernel(tuple(SOURCES), _load_native),
    "cuda": Kernel((torch.float32, torch.bfloat16, torch.float16), _load_triton),
}
"""By the type of a device."""
