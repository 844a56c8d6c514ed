"""The gate arithmetic on a CPU: `NativeGates`, which calls the compiled kernel `gates.c`."""

import ctypes

import torch
from torch import Tensor

from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.cell import CellRules, Peepholes
from convlstm_cli.nn.gates.protocol import KERNEL_PEEPHOLES, Sums, in_memory_order, kernel_peephole, kernel_slope
from convlstm_cli.nn.kernels import GATES, GATES_BFLOAT16, PeepholePointers, Step, SumPointers

SOURCES = {torch.float32: GATES, torch.bfloat16: GATES_BFLOAT16}
"""The kernel for each type of gates in memory."""


class NativeGates:
    """The gate arithmetic in the compiled kernel: one pass over memory, on all threads of torch.

    The kernel adds nothing to the gates, because convolutions on a CPU add to them while they lie in its caches.
    """

    fuses = False

    def __init__(
        self, peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
    ) -> None:
        self._kernel = c_kernels.load(SOURCES[dtype])
        batch, hidden, height, width = c.shape
        self._last = channels_last
        kind = kernel_peephole(peepholes, rules)
        self._full = full = kind == KERNEL_PEEPHOLES["full"]
        self._step = Step(
            batch=batch,
            hidden=hidden,
            positions=height * width,
            channels_last=self._last,
            peephole=kind,
            hard=kernel_slope(rules) > 0.0,
            detach=rules.detach_peepholes,
            threads=torch.get_num_threads(),
            slope=kernel_slope(rules),
            clip=float("inf") if rules.cell_clip is None else rules.cell_clip,
        )
        self._weights = (
            [] if peepholes is None else [in_memory_order(p.float(), channels_last=self._last) for p in peepholes]
        )
        # One row for each thread. Full peepholes have one in all, because no two threads have the same positions.
        threads = self._step.threads
        self._bias = c.new_zeros(threads, 4 * hidden)
        shape = (threads, hidden) if not full else self._weights[0].shape
        self._grads = [c.new_zeros(shape) for _ in self._weights]
        self._weight_pointers = PeepholePointers(*map(Tensor.data_ptr, self._weights))
        self._sum_pointers = SumPointers(self._bias.data_ptr(), *map(Tensor.data_ptr, self._grads))

    def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, *, keep: bool) -> None:
        self._step.keep = keep
        self._kernel.convlstm_forward(
            ctypes.byref(self._step),
            gates.data_ptr(),
            c_before.data_ptr(),
            c.data_ptr(),
            h.data_ptr(),
            self._weight_pointers,
        )

    def backward(
        self, gates: Tensor, c_before: Tensor, c: Tensor, grad_h: tuple[Tensor, Tensor], grad_c: Tensor, out: Tensor
    ) -> None:
        c_before, c = c_before.to(grad_c.dtype), c.to(grad_c.dtype)  # what the kernel reads
        self._kernel.convlstm_backward(
            ctypes.byref(self._step),
            gates.data_ptr(),
            c_before.data_ptr(),
            c.data_ptr(),
            grad_h[0].data_ptr(),
            grad_h[1].data_ptr(),
            grad_c.data_ptr(),
            out.data_ptr(),
            self._weight_pointers,
            self._sum_pointers,
        )

    def sums(self) -> Sums:
        bias = self._bias.sum(dim=0)
        if not self._grads:
            return Sums(bias, None)
        if not self._full:
            return Sums(bias, Peepholes(*(grad.sum(dim=0)[:, None, None] for grad in self._grads)))
        return Sums(bias, Peepholes(*(grad.permute(2, 0, 1) if self._last else grad for grad in self._grads)))
