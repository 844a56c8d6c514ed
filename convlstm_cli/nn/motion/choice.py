"""Which implementation computes a motion, by what the device is.

`KERNELS` names the devices for which there is a kernel: the CPU (`native.py`) and CUDA (`triton_search.py` and
`triton_advance.py`). On every other device, and where a kernel is missing or fails its self-test, where a gradient is
asked for or a program is recorded, `eager.py` computes.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.kernels import MOTION
from convlstm_cli.nn.motion import eager, native
from convlstm_cli.nn.motion.searches import Search

MOST_PIXELS = 2**30
"""Largest number of pixels of an image, which the kernels count in 32 bits."""
TOLERANCE = 1e-4
"""Largest difference from `eager.py`, in pixels and pixel values: some hundred times what rounding makes."""


class Advance(Protocol):
    """`eager.advance`."""

    def __call__(
        self,
        frame: Tensor,
        motion: Tensor,
        source: Tensor,
        steps: int,
        *,
        beside: Tensor | None = None,
        corner: tuple[int, int] = (0, 0),
        is_cubic: bool = True,
        unseen: int = 0,
        lead: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]: ...


class Implementation(NamedTuple):
    """What computes motions."""

    improve: Callable[[Tensor, Tensor, Search], Tensor]
    """From a motion (B, 2, h, w) on a level (B, T, h, w), T > 1, that after all steps of a search."""
    enlarge: Callable[[Tensor, tuple[int, int]], Tensor]
    """`eager.enlarge`."""
    advance: Advance


def choose(*tensors: Tensor | None) -> Implementation:
    """The fastest implementation that takes these."""
    given = [tensor for tensor in tensors if tensor is not None]
    if has_kernel_for(*given):
        return KERNELS[given[0].device.type]()
    return Implementation(_improve_by_tensors, eager.enlarge, eager.advance)


def has_kernel_for(*tensors: Tensor) -> bool:
    """Whether a kernel takes these: tensors of float32, no gradient to them, and no program recorded."""
    device = tensors[0].device
    return (
        device.type in KERNELS
        and all(type(one) is Tensor and one.device == device and one.dtype == torch.float32 for one in tensors)
        and all(one.numel() > 0 and one.shape[-2] * one.shape[-1] <= MOST_PIXELS for one in tensors)
        and not (torch.is_grad_enabled() and any(one.requires_grad for one in tensors))
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
        and why_not_now(device) is None
    )


def why_not_now(device: torch.device) -> str | None:
    """As `why_no_kernel`; while a CUDA graph is captured, a kernel that was not tested before is not used."""
    try:
        return why_no_kernel(device)
    except _CapturedError as reason:
        return str(reason)


@functools.cache
def why_no_kernel(device: torch.device) -> str | None:
    """None if a kernel is available on the device and computes what `eager.py` does; else why not, in a few words.

    Raises torch.OutOfMemoryError, which says nothing about the kernel.
    """
    load = KERNELS.get(device.type)
    if load is None:
        return f"none for {device.type} devices"
    try:
        kernel = load()
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            raise _CapturedError("a CUDA graph is captured, in which nothing can be compared")
        return first_difference(kernel, device)
    except c_kernels.NotAvailable as reason:
        return str(reason)
    except (torch.OutOfMemoryError, _CapturedError):
        raise
    except Exception as error:  # Triton's compiler raises errors of many types, and each means that there is no kernel
        lines = str(error).splitlines() or [type(error).__name__]
        return f"its self-test failed: {lines[0]}"


class _CapturedError(Exception):
    """There is no answer while a CUDA graph is captured. It is raised, so that `functools.cache` keeps no answer."""


def first_difference(kernel: Implementation, device: torch.device) -> str | None:
    """None if the kernel computes what `eager.py` does; else what differs, in a few words.

    `eager.py` computes on the CPU and without autocast, because on a GPU, and under autocast, matrices may be
    multiplied in fewer bits.
    """
    with autocast(device, None), autocast(torch.device("cpu"), None):
        return _first_difference(kernel, device)


def _first_difference(kernel: Implementation, device: torch.device) -> str | None:
    # Types and devices are named, because the caller may have set other defaults.
    values = torch.linspace(0.0, 700.0, 2 * 4 * 9 * 7, dtype=torch.float32, device="cpu").sin().view(2, 4, 9, 7)
    frames, search = values / 4.0 + 0.5, Search(4, 2, 1.0, 0.7)
    flow = 2.0 * values[:, :2].roll(3, dims=-1)
    improved = kernel.improve(flow.to(device), frames.to(device), search)
    if not _is_near(improved, _improve_by_tensors(flow, frames, search)):
        return "it does not compute what torch does (search)"
    if not _is_near(kernel.enlarge(flow.to(device), (18, 15)), eager.enlarge(flow, (18, 15))):
        return "it does not compute what torch does (a larger level)"
    frame, motion, source = frames[:, :3], 2.0 * values, values[..., :5].contiguous()
    beside, lead = frames[:, 1:], frames.new_zeros(2, 1, 1, 1)
    for is_cubic in (True, False):
        found, wanted = (
            advance(
                frame.to(there),
                motion.to(there),
                source.to(there),
                2,
                beside=beside.to(there),
                corner=(-1, 2),
                is_cubic=is_cubic,
                lead=lead.to(there),
            )
            for advance, there in ((kernel.advance, device), (eager.advance, values.device))
        )
        if not all(_is_near(one, other) for one, other in zip(found, wanted, strict=True)):
            return "it does not compute what torch does (advection)"
    return None


def _is_near(one: Tensor | None, other: Tensor | None) -> bool:
    assert one is not None
    assert other is not None
    return torch.allclose(one.cpu(), other, rtol=0.0, atol=TOLERANCE)


def _improve_by_tensors(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    for _ in range(search.iterations):
        flow = eager.improve(flow, level, search)
    return flow


def _load_native() -> Implementation:
    c_kernels.load(MOTION)
    return Implementation(native.improve, eager.enlarge, native.advance)


def _load_triton() -> Implementation:
    try:  # here, because Triton is slow to import and not installed everywhere
        from convlstm_cli.nn.motion import triton_advance, triton_search
    except ImportError:
        raise c_kernels.NotAvailable("Triton is not installed") from None
    return Implementation(triton_search.improve, triton_search.enlarge, triton_advance.advance)


KERNELS: dict[str, Callable[[], Implementation]] = {"cpu": _load_native, "cuda": _load_triton}
"""By the type of a device; each raises c_kernels.NotAvailable where there is none."""
