"""The same as `eager.py` on a CPU in float32, by the compiled kernel `motion.c`."""

import ctypes
import functools

import torch
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.kernels import MOTION, Advance, Level
from convlstm_cli.nn.motion.eager import AROUND, FILLED, UNEXPLAINED
from convlstm_cli.nn.motion.gaussian import gaussian
from convlstm_cli.nn.motion.guided import CONTRAST, LEAST_TRUST, STRUCTURE
from convlstm_cli.nn.motion.searches import Search


def improve(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    """The motion (B, 2, h, w) on a level (B, T, h, w) after all steps of a search."""
    kernel = c_kernels.load(MOTION)
    flow, level = flow.clone(memory_format=torch.contiguous_format), level.contiguous()
    window, smoothing = _half(search.window), _half(search.smoothing)
    threads = torch.get_num_threads()
    steps = search.iterations, len(window) - 1, len(smoothing) - 1, threads
    shape = Level(*level.shape, *steps, search.damping, UNEXPLAINED, LEAST_TRUST, STRUCTURE * search.damping, CONTRAST)
    scratch = level.new_empty(kernel.motion_scratch(ctypes.byref(shape)))
    kernel.motion_improve(ctypes.byref(shape), level.data_ptr(), window, smoothing, flow.data_ptr(), scratch.data_ptr())
    return flow


def advance(
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
) -> tuple[Tensor, Tensor | None, Tensor]:
    """As `eager.advance`."""
    batch, channels, height, width = frame.shape
    count, rows, columns = motion.shape[1] // 2, *source.shape[-2:]
    fields = 0 if beside is None else beside.shape[1]
    frame, motion = frame.contiguous(), motion.contiguous()
    source = source.clone(memory_format=torch.contiguous_format)
    shown = count if lead is None else 2 * count
    seen = frame.new_empty(batch, steps, shown, channels, rows, columns)
    carried = None if beside is None else frame.new_empty(batch, steps, fields, rows, columns)
    beside = None if beside is None else beside.contiguous()
    lead = None if lead is None else lead.contiguous()
    threads = torch.get_num_threads()
    scratch = frame.new_empty(0 if lead is None else threads * (channels + 1) * (rows + 2) * (columns + 2))
    sizes = (batch, count, channels, fields, height, width, rows, columns, *corner, unseen, steps, is_cubic)
    c_kernels.load(MOTION).motion_advance(
        ctypes.byref(Advance(*sizes, lead is not None, threads, AROUND, FILLED)),
        frame.data_ptr(),
        motion.data_ptr(),
        None if beside is None else beside.data_ptr(),
        None if lead is None else lead.data_ptr(),
        source.data_ptr(),
        seen.data_ptr(),
        None if carried is None else carried.data_ptr(),
        scratch.data_ptr(),
    )
    return seen, carried, source


@functools.cache
def _half(sigma: float) -> "ctypes.Array[ctypes.c_float]":
    """The weights of a Gaussian from its middle on."""
    whole = gaussian(sigma)
    half = whole[len(whole) // 2 :]
    return (ctypes.c_float * len(half))(*half)
