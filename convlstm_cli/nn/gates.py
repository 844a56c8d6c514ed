"""The gate arithmetic of one step and its gradient, after and before the convolutions: the rest of `nn/cell.py`.

Three implementations with the same methods: `EagerGates` in torch operations, for every device and type;
`NativeGates`, which calls a kernel that was compiled for this processor; and `triton_gates.py` for NVIDIA GPUs.
`choose` decides between them.

Tensors are (B, channels, H, W) with memory in either order: channels together, or positions together. Gates may be
of a lower precision than the cell state; the arithmetic is that of the cell state.
"""

import ctypes
import functools
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from convlstm_cli.nn import native
from convlstm_cli.nn.cell import GATE_ACTIVATIONS, PAPER, CellRules, Peepholes

KERNELS = {torch.float32: "gates", torch.bfloat16: "gates-bfloat16"}
"""The compiled kernel for each type of gates in memory."""
HARD_SLOPES = {"hard_sigmoid_keras3": 0.1666666716337204, "hard_sigmoid_keras2": 0.2}
"""The first is 1/6 in float32, which torch's own gradient takes for every type."""


class Sums(NamedTuple):
    """Gradients to what all steps share."""

    bias: Tensor
    """(4*hidden,)"""
    peepholes: Peepholes | None


class Gates(Protocol):
    """What the recurrence asks of the gate arithmetic."""

    def __init__(
        self, peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
    ) -> None:
        """For gates of this type, cell states like `c`, and an order of memory."""

    def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, *, keep: bool) -> None:
        """From gates (B, 4*hidden, H, W) before activation and c_{t-1} to c_t and h_t, which are written.

        `c` may be `c_before`. With `keep` the activated gates are left in `gates`; without, anything.
        """

    def backward(
        self, gates: Tensor, c_before: Tensor, c: Tensor, grad_h: tuple[Tensor, Tensor], grad_c: Tensor, out: Tensor
    ) -> None:
        """The gradient to the gates before activation, into `out`, and to c_{t-1}, over that to c_t in `grad_c`.

        `gates` are the activated ones; the gradient to h_t is the sum of the two in `grad_h`.
        """

    def sums(self) -> Sums:
        """Over all calls of `backward`."""


def choose(
    peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
) -> Gates:
    """The fastest implementation for gates of a type, cell states like `c`, and an order of memory."""
    if c.dtype == torch.float32 and why_no_kernel(dtype, c.device) is None:
        make: type[Gates] = NativeGates if c.device.type == "cpu" else _triton()
        return make(peepholes, rules, dtype, c, channels_last=channels_last)
    return EagerGates(peepholes, rules)


class EagerGates:
    """The arithmetic in torch operations."""

    def __init__(self, peepholes: Peepholes | None, rules: CellRules) -> None:
        self._peepholes, self._rules = peepholes, rules
        self._sums: list[Tensor] = []

    def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, *, keep: bool) -> None:
        peepholes, clip = self._peepholes, self._rules.cell_clip
        exact = gates.to(c.dtype)
        i, f, g, o = exact.chunk(4, dim=1)  # each (B, hidden, H, W)
        if peepholes is not None:
            i.addcmul_(peepholes.i, c_before)
            f.addcmul_(peepholes.f, c_before)
        self._activate(exact[:, : 2 * c.shape[1]])  # i and f
        g.tanh_()
        torch.mul(f, c_before, out=c)
        c.addcmul_(i, g)
        if clip is not None:
            c.clamp_(-clip, clip)
        if peepholes is not None:
            o.addcmul_(peepholes.o, c)
        self._activate(o)
        if h.dtype == c.dtype:
            torch.tanh(c, out=h).mul_(o)
        else:
            h.copy_(torch.tanh(c).mul_(o))
        if keep and exact is not gates:
            gates.copy_(exact)

    def backward(
        self, gates: Tensor, c_before: Tensor, c: Tensor, grad_h: tuple[Tensor, Tensor], grad_c: Tensor, out: Tensor
    ) -> None:
        peepholes, clip = self._peepholes, self._rules.cell_clip
        through = peepholes is not None and not self._rules.detach_peepholes
        i, f, g, o = gates.to(c.dtype).chunk(4, dim=1)
        grad_h_sum = grad_h[0].to(c.dtype) + grad_h[1]
        squashed = torch.tanh(c)
        grad_o = grad_h_sum * squashed * self._slope(o)
        grad_c.addcmul_(grad_h_sum * o, 1.0 - squashed * squashed)
        if through and peepholes is not None:
            grad_c.addcmul_(peepholes.o, grad_o)
        if clip is not None:
            grad_c.masked_fill_(c.abs() >= clip, 0.0)
        grad_i = grad_c * g * self._slope(i)
        grad_f = grad_c * c_before * self._slope(f)
        grad_g = grad_c * i * (1.0 - g * g)
        grad_c.mul_(f)
        if through and peepholes is not None:
            grad_c.addcmul_(peepholes.i, grad_i)
            grad_c.addcmul_(peepholes.f, grad_f)
        parts = (grad_i, grad_f, grad_g, grad_o)
        torch.cat(parts, dim=1, out=out) if out.dtype == c.dtype else out.copy_(torch.cat(parts, dim=1))

        sums = [torch.cat([part.sum(dim=(0, 2, 3)) for part in parts])]
        if peepholes is not None:
            for weight, part, seen in zip(peepholes, (grad_i, grad_f, grad_o), (c_before, c_before, c), strict=True):
                sums.append((part * seen).sum_to_size(weight.shape))
        self._sums = [old + new for old, new in zip(self._sums, sums, strict=True)] if self._sums else sums

    def sums(self) -> Sums:
        bias, *peepholes = self._sums
        return Sums(bias, Peepholes(*peepholes) if peepholes else None)

    def _activate(self, gates: Tensor) -> None:
        """σ, in place."""
        if self._rules.gate_activation == "sigmoid":
            gates.sigmoid_()
        else:
            gates.copy_(GATE_ACTIVATIONS[self._rules.gate_activation](gates))

    def _slope(self, activated: Tensor) -> Tensor:
        """The derivative of σ, from its value."""
        slope = HARD_SLOPES.get(self._rules.gate_activation)
        if slope is None:
            return activated * (1.0 - activated)
        return ((activated > 0.0) & (activated < 1.0)).to(activated.dtype) * slope


class NativeGates:
    """The arithmetic in the compiled kernel `gates.c`: one pass over memory, on all threads of torch."""

    def __init__(
        self, peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
    ) -> None:
        self._kernel = native.load(KERNELS[dtype])
        batch, hidden, height, width = c.shape
        self._last = channels_last
        self._full = full = peepholes is not None and peepholes.i.numel() > hidden
        self._step = native.Step(
            batch=batch,
            hidden=hidden,
            positions=height * width,
            channels_last=self._last,
            peephole=0 if peepholes is None else 2 if full else 1,
            activation=rules.gate_activation != "sigmoid",
            detach=rules.detach_peepholes,
            threads=torch.get_num_threads(),
            slope=HARD_SLOPES.get(rules.gate_activation, 0.0),
            clip=float("inf") if rules.cell_clip is None else rules.cell_clip,
        )
        self._weights = [] if peepholes is None else [self._in_memory_order(p.float()) for p in peepholes]
        # One row for each thread, but each full peephole, at whose positions no two threads meet.
        threads = self._step.threads
        self._bias = c.new_zeros(threads, 4 * hidden)
        shape = (threads, hidden) if not full else self._weights[0].shape
        self._grads = [c.new_zeros(shape) for _ in self._weights]
        self._weight_pointers = native.Peepholes(*map(Tensor.data_ptr, self._weights))
        self._sum_pointers = native.Sums(self._bias.data_ptr(), *map(Tensor.data_ptr, self._grads))

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

    def _in_memory_order(self, weight: Tensor) -> Tensor:
        """(hidden, H, W) as (H, W, hidden) where channels are together; (hidden, 1, 1) is the same either way."""
        return (weight.permute(1, 2, 0) if self._last else weight).contiguous()


@functools.cache
def why_no_kernel(dtype: torch.dtype, device: torch.device) -> str | None:
    """None if there is a kernel for gates of this type on this device; else why not, in a few words.

    The kernel is tried: one that computes something else than torch does (a compiler's fault) is not used.
    """
    if device.type == "cpu":
        if dtype not in KERNELS:
            return f"none for {dtype}"
        try:
            native.load(KERNELS[dtype])
        except native.NotAvailable as reason:
            return str(reason)
        return _first_difference(NativeGates, dtype, device)
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"none for {dtype}"
    try:
        return _first_difference(_triton(), dtype, device)
    except ImportError:
        return "Triton is not installed"
    except Exception as error:  # Triton's compiler raises what it likes, and all of it means the same here
        return f"Triton could not compile it: {str(error).splitlines()[0]}"


def _first_difference(kernel: type[Gates], dtype: torch.dtype, device: torch.device) -> str | None:
    for channels_last in (False, True):
        order = torch.channels_last if channels_last else torch.contiguous_format
        # Whatever the default type is now.
        values = torch.linspace(-4.0, 4.0, 2 * 4 * 5 * 3 * 3, device=device, dtype=torch.float32)
        values = values.roll(7).view(2, 20, 3, 3).contiguous(memory_format=order)
        weights = torch.linspace(-1.0, 1.0, 15, device=device, dtype=torch.float32)
        peepholes = Peepholes(*weights.view(3, 5, 1, 1))
        c_before = values[:, :5].contiguous(memory_format=order)
        results = []
        for gates in (
            kernel(peepholes, PAPER, dtype, c_before, channels_last=channels_last),
            EagerGates(peepholes, PAPER),
        ):
            inside = values.to(dtype, copy=True)
            c, grad_c, h = c_before.clone(), c_before.clone(), c_before.to(dtype, copy=True)
            out = torch.zeros_like(inside)
            gates.forward(inside, c_before, c, h, keep=True)
            gates.backward(inside, c_before, c, (h, h), grad_c, out)
            results.append((inside, c, h, grad_c, out, gates.sums().bias))
        tolerance = 1e-5 if dtype == torch.float32 else 0.1
        for ours, theirs in zip(*results, strict=True):
            if not torch.allclose(ours.float(), theirs.float(), rtol=tolerance, atol=tolerance):
                return "it does not compute what torch does"
    return None


def _triton() -> "type[Gates]":
    from convlstm_cli.nn.triton_gates import TritonGates  # not everywhere to be had, and slow to import

    return TritonGates
