"""Whether the compiled kernel computes a motion."""

import functools

import torch
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.kernels import MOTION
from convlstm_cli.nn.motion import eager, native
from convlstm_cli.nn.motion.searches import Search

MOST_PIXELS = 2**31 - 1
"""Largest number of pixels of an image, which the kernel counts in 32 bits."""
TOLERANCE = 1e-4
"""Largest difference from `eager.py`, in pixels and pixel values: some hundred times what rounding makes."""


def has_kernel_for(*tensors: Tensor | None) -> bool:
    """Whether `native.py` takes these: tensors of float32 on a CPU, no gradient to them, and no program recorded."""
    given = [tensor for tensor in tensors if tensor is not None]
    return (
        all(type(one) is Tensor and one.device.type == "cpu" and one.dtype == torch.float32 for one in given)
        and all(one.numel() > 0 and one.shape[-2] * one.shape[-1] <= MOST_PIXELS for one in given)
        and not (torch.is_grad_enabled() and any(one.requires_grad for one in given))
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
        and why_no_kernel() is None
    )


@functools.cache
def why_no_kernel() -> str | None:
    """None if the kernel is available and computes what `eager.py` does; else why not, in a few words."""
    try:
        c_kernels.load(MOTION)
    except c_kernels.NotAvailable as reason:
        return str(reason)
    # Types and devices are named, because the caller may have set other defaults.
    values = torch.linspace(0.0, 700.0, 2 * 4 * 9 * 7, dtype=torch.float32, device="cpu").sin().view(2, 4, 9, 7)
    frames, search = values / 4.0 + 0.5, Search(4, 2, 1.0, 0.7)
    flow = expected = 2.0 * values[:, :2].roll(3, dims=-1)
    for _ in range(search.iterations):
        expected = eager.improve(expected, frames, search)
    if not _is_near(native.improve(flow, frames, search), expected):
        return "it does not compute what torch does (search)"
    source = values[..., :5].contiguous()
    given = {"beside": frames[:, 1:], "corner": (-1, 2), "lead": frames.new_zeros(2, 1, 1, 1)}
    for is_cubic in (True, False):
        found, wanted = (
            each(frames[:, :3], 2.0 * values, source, 2, is_cubic=is_cubic, **given)  # type: ignore[arg-type]
            for each in (native.advance, eager.advance)
        )
        if not all(_is_near(one, other) for one, other in zip(found, wanted, strict=True)):  # type: ignore[arg-type]
            return "it does not compute what torch does (advection)"
    return None


def _is_near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=0.0, atol=TOLERANCE)
