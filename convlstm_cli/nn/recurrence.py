"""A ConvLSTM layer over a whole sequence, fast. The equations are those of `nn/cell.py`, to which tests hold this file.

`unroll` decides, in one place, how a sequence is computed: as one autograd function with a backward of its own or,
where torch must see every operation (torch.compile, torch.export, functorch, forward-mode gradients) and on devices
that nobody has measured, step by step with `cell_step`.

What makes it fast, most of it first:
- Between the convolutions there is one pass over memory (`nn/gates.py`), where separate operations make a dozen.
- The gradients of the weights are summed over time as the backward goes, by matrix products (`nn/convolution.py`).
- Only the activated gates, c and h are kept for the backward; autograd keeps every intermediate result.
- A state that is not given is zero, so the first step convolves none, and no gradient is made for it.
"""

import contextlib
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from convlstm_cli.nn import gates as arithmetic
from convlstm_cli.nn.cell import CellRules, CellWeights, Peepholes, cell_step
from convlstm_cli.nn.convolution import Convolution, takes_winograd

State = tuple[Tensor, Tensor]

BLOCK_BYTES = {"cpu": 8 << 20, "cuda": 512 << 20, "meta": 8 << 20}
"""Gates of as many steps as fit into this come from one input convolution, and give one sum of weight gradients.
The devices are those on which a sequence is computed at once; meta computes nothing and tells what would be kept."""
SMALL = 24 * 24
"""Positions up to which oneDNN's AVX2 convolutions gain more from reordering frames than the reordering costs."""


class Plan(NamedTuple):
    """How a sequence is computed."""

    steps: int
    shape: tuple[int, int, int, int]
    """(B, hidden, H, W) of the states."""
    dtype: torch.dtype
    """Of convolutions, gates and hidden states."""
    c_dtype: torch.dtype
    """Of the cell state and the gate arithmetic: float32, or float64 with everything else."""
    channels_last: bool
    """Whether all channels of a position lie together in memory, or all positions of a channel."""
    recording: bool
    """Whether there may be a backward: then, if an input asks for a gradient, what it needs is kept."""
    segment: int
    """Steps whose gates are kept for the backward at a time; those of other segments are computed again."""


def unroll(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    *,
    steps: int,
    shape: tuple[int, int, int, int],
    checkpoint_every: int | None = None,
) -> tuple[Tensor, State]:
    """The cell over a sequence.

    Args:
        x: (B, T, in, H, W), or None for a cell without input.
        state: (h_0, c_0); None starts from zeros.
        weights: the parameters.
        rules: what the cell does beside them.
        steps: T.
        shape: (B, hidden, H, W) of the states.
        checkpoint_every: keep the gates of only so many steps, and compute those of others again in the backward.

    Returns:
        h_1 ... h_T as (B, T, hidden, H, W), a view whose memory is in another order, and (h_T, c_T).
    """
    plan = _plan(x, state, weights, steps, shape, checkpoint_every)
    if plan is None:
        return _step_by_step(x, state, weights, rules, steps, shape)
    h_0, c_0 = state if state is not None else (None, None)
    peephole_i, peephole_f, peephole_o = weights.peepholes if weights.peepholes is not None else (None, None, None)
    inputs = _Inputs(x, h_0, c_0, *weights[:3], peephole_i, peephole_f, peephole_o)
    with autocast(weights.weight_hh.device, None):  # the plan says which types there are
        outputs, h, c = _Sequence.apply(rules, plan, *inputs)  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), (h, c)


def _plan(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    steps: int,
    shape: tuple[int, int, int, int],
    checkpoint_every: int | None,
) -> Plan | None:
    """How to compute a sequence fast, or None where it has to be done step by step."""
    device, c_dtype = weights.weight_hh.device, weights.weight_hh.dtype
    mixed = device.type in ("cpu", "cuda") and torch.is_autocast_enabled(device.type) and c_dtype == torch.float32
    tensors = [t for t in (x, *(state or ()), *weights[:3], *(weights.peepholes or ())) if t is not None]
    if (
        device.type not in BLOCK_BYTES
        or c_dtype not in (torch.float32, torch.float64)
        or any(t.device != device or type(t) not in (Tensor, torch.nn.Parameter) for t in tensors)
        or any(t.dtype != c_dtype and not (mixed and t.is_floating_point()) for t in tensors)
        or 0 in shape
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    ):
        return None
    dtype = torch.get_autocast_dtype(device.type) if mixed else c_dtype
    last = _channels_last(weights.weight_hh, dtype, shape[2:])
    return Plan(steps, shape, dtype, c_dtype, last, torch.is_grad_enabled(), min(checkpoint_every or steps, steps))


def _channels_last(weight: Tensor, dtype: torch.dtype, size: tuple[int, int]) -> bool:
    """The order of memory in which convolutions are faster; `scripts/benchmark_speed.py --convolutions` measures it."""
    if weight.device.type == "cuda":
        return dtype != torch.float64
    if dtype == torch.float64 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if takes_winograd(weight, (weight.shape[2] // 2, weight.shape[3] // 2), dtype, size):
        return True
    wide = torch.backends.cpu.get_cpu_capability() != "AVX2"
    return wide or dtype != torch.float32 or size[0] * size[1] > SMALL


def _step_by_step(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    steps: int,
    shape: tuple[int, int, int, int],
) -> tuple[Tensor, State]:
    if state is None:
        zeros = weights.weight_hh.new_zeros(shape)
        state = zeros, zeros
    h, c = state
    outputs = []
    # unbind, because the gradient of x[:, t] for each t would be a zero tensor as large as x
    for x_t in (None,) * steps if x is None else x.unbind(dim=1):
        h, c = cell_step(x_t, h, c, weights, rules)
        outputs.append(h)
    return torch.stack(outputs, dim=1), (h, c)


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[Any]:
    """Context in which autocast computes in this type, or, with None, does nothing."""
    if device.type == "meta" or (dtype is None and not torch.is_autocast_enabled(device.type)):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


class _Inputs(NamedTuple):
    """What a sequence is computed from."""

    x: Tensor | None
    h_0: Tensor | None
    c_0: Tensor | None
    weight_ih: Tensor | None
    weight_hh: Tensor
    bias: Tensor
    peephole_i: Tensor | None
    peephole_f: Tensor | None
    peephole_o: Tensor | None

    @property
    def weights(self) -> CellWeights:
        i, f, o = self[6:]
        peepholes = None if i is None or f is None or o is None else Peepholes(i, f, o)
        return CellWeights(self.weight_ih, self.weight_hh, self.bias, peepholes)


class _Sequence(torch.autograd.Function):
    """`unroll` as autograd sees it."""

    @staticmethod
    def forward(ctx: Any, rules: CellRules, plan: Plan, *inputs: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        differentiated = plan.recording and any(ctx.needs_input_grad)
        run = _Run(_Inputs(*inputs), rules, plan)  # type: ignore[arg-type]
        h = run.frames(plan.steps, plan.dtype)
        c = run.c_0
        kept: list[Tensor] = []  # c before each segment, or for a single one c of all steps and the gates
        for first in range(0, plan.steps, plan.segment):
            whole = differentiated and plan.segment == plan.steps
            states, gates = run.forward(first, min(first + plan.segment, plan.steps), c, h, keep=whole)
            kept += [*states, *gates] if whole else [c]
            c = states[-1]
        if differentiated:
            ctx.save_for_backward(*inputs, h, *kept)
            ctx.how = rules, plan
            ctx.set_materialize_grads(False)
        # Copies: a view of h would keep all of it from being freed, and c is kept for the backward.
        return h, h[-1].clone(), c.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        rules, plan = ctx.how
        saved = ctx.saved_tensors
        count = len(_Inputs._fields)
        inputs, h, kept = _Inputs(*saved[:count]), saved[count], list(saved[count + 1 :])
        needs = ctx.needs_input_grad[2:]
        with autocast(inputs.weight_hh.device, None):
            if torch.is_grad_enabled():  # the gradient of the gradient is going to be asked for
                return None, None, *_differentiable_gradients(inputs, needs, rules, plan, gradients)
            run = _Run(inputs, rules, plan)
            # Hooks on saved tensors, such as those that move them to the CPU meanwhile, may give another order back.
            h, kept = run.ordered(h, h.dtype), [run.ordered(tensor, tensor.dtype) for tensor in kept]
            backward = _Backward(run, needs, h, gradients)
            for first in reversed(range(0, plan.steps, plan.segment)):
                last = min(first + plan.segment, plan.steps)
                if plan.segment == plan.steps:
                    states, gates = kept[: plan.steps + 1], kept[plan.steps + 1 :]
                else:
                    c = kept.pop()
                    states, gates = run.forward(first, last, c, h, keep=True, known=True)
                backward.segment(first, states, gates)
            return None, None, *backward.gradients()


class _Run:
    """A sequence on its way: its inputs in the plan's types and order of memory, and its forward pass."""

    def __init__(self, inputs: _Inputs, rules: CellRules, plan: Plan) -> None:
        weights = inputs.weights
        self.inputs, self.plan = inputs, plan
        same = weights.weight_hh.shape[2] // 2, weights.weight_hh.shape[3] // 2
        self.conv_h = Convolution(weights.weight_hh, same, plan.dtype, plan.shape[2:], channels_last=plan.channels_last)
        self.conv_x = None
        if weights.weight_ih is not None and inputs.x is not None:
            kernel = weights.weight_ih.shape[2:]
            padding = (kernel[0] // 2, kernel[1] // 2) if rules.padding is None else rules.padding
            size = inputs.x.shape[-2], inputs.x.shape[-1]
            self.conv_x = Convolution(weights.weight_ih, padding, plan.dtype, size, channels_last=plan.channels_last)
            self.x = self.ordered(inputs.x.transpose(0, 1), plan.dtype)  # (T, B, in, H, W)
        self.h_0 = None if inputs.h_0 is None else self.ordered(inputs.h_0, plan.dtype)
        if inputs.c_0 is not None:
            self.c_0 = self.ordered(inputs.c_0, plan.c_dtype)
        else:
            self.c_0 = self.frames(1, plan.c_dtype)[0].zero_()
        self.bias = weights.bias.detach().to(plan.dtype).contiguous()
        peepholes = weights.peepholes
        if peepholes is not None:
            peepholes = Peepholes(*(peephole.detach() for peephole in peepholes))
        self.gates = arithmetic.choose(peepholes, rules, plan.dtype, self.c_0, channels_last=plan.channels_last)
        gate_bytes = 4 * math.prod(plan.shape) * plan.dtype.itemsize
        self.block = max(1, BLOCK_BYTES[weights.weight_hh.device.type] // gate_bytes)

    def frames(self, count: int, dtype: torch.dtype, channels: int = 1) -> Tensor:
        """Memory for so many states, (count, B, hidden, H, W), or gates with `channels` = 4."""
        batch, hidden, height, width = self.plan.shape
        shape = count, batch, channels * hidden, height, width
        if not self.plan.channels_last:
            return self.inputs.weight_hh.new_empty(shape, dtype=dtype)
        # Not a permuted view: autograd forbids changing those in place where a function returns them.
        across = channels * hidden
        strides = math.prod(shape[1:]), math.prod(shape[2:]), 1, width * across, across
        return self.inputs.weight_hh.new_empty_strided(shape, strides, dtype=dtype)

    def ordered(self, frames: Tensor, dtype: torch.dtype) -> Tensor:
        """(..., channels, H, W) in the plan's order of memory; the same tensor if it is already."""
        frames = frames.detach().to(dtype)
        if self.plan.channels_last:
            return frames.movedim(-3, -1).contiguous().movedim(-1, -3)
        return frames.contiguous()

    def forward(
        self, first: int, last: int, c: Tensor, h: Tensor, *, keep: bool, known: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Steps `first` to `last`, from c before them; h_t goes into `h[t]`, or nowhere if it is known.

        Gives c before the first and after each step, and the activated gates of each; or with `keep` false only
        the last c, and no gates.
        """
        batch = self.plan.shape[0]
        states, kept = [c], []
        nowhere = self.frames(1, self.plan.dtype)[0] if known else None
        block: Tensor | None = None
        for t in range(first, last):
            h_before = h[t - 1] if t else self.h_0
            if self.conv_x is None:
                assert h_before is not None
                gates = self.conv_h.output(h_before, self.bias)
            else:
                at = (t - first) % self.block
                if at == 0:
                    block = self.conv_x.output(self.x[t : min(t + self.block, last)].flatten(0, 1), self.bias)
                assert block is not None
                gates = block[at * batch : (at + 1) * batch]  # (B, 4*hidden, H, W)
                if h_before is not None:
                    self.conv_h.add_output(gates, h_before)
            # Two buffers of c: the one that was given, which is not ours to overwrite, and the one that is.
            after = self.frames(1, self.plan.c_dtype)[0] if keep or t == first else c
            self.gates.forward(gates, c, after, h[t] if nowhere is None else nowhere, keep=keep)
            c = after
            if keep:
                states.append(c)
                kept.append(gates)
        return states if keep else [c], kept


class _Backward:
    """The gradients of a sequence, from its last segment to its first."""

    def __init__(self, run: _Run, needs: tuple[bool, ...], h: Tensor, gradients: tuple[Tensor | None, ...]) -> None:
        plan = run.plan
        self._run, self._needs, self._h = run, _Inputs(*needs), h  # type: ignore[arg-type]
        outputs, grad_h, grad_c = gradients
        zeros = run.frames(1, plan.dtype)[0].zero_()
        self._grad_outputs = zeros.expand(plan.steps, *zeros.shape) if outputs is None else outputs
        self._grad_h = zeros if grad_h is None else run.ordered(grad_h, plan.dtype)
        self._grad_c = run.frames(1, plan.c_dtype)[0]
        if grad_c is None:
            self._grad_c.zero_()
        else:
            self._grad_c.copy_(grad_c)
        self._grad_x: list[Tensor] = []
        self._grad_gates = run.frames(min(run.block, plan.steps), plan.dtype, channels=4)

    def segment(self, first: int, states: list[Tensor], gates: list[Tensor]) -> None:
        """Steps from `first` on: `states` are c before and after each of them, `gates` the activated ones."""
        run = self._run
        waiting = 0
        for t in reversed(range(first, first + len(gates))):
            c_before, c = states[t - first : t - first + 2]
            # Filled from the end, so that the steps that wait lie in the order of time.
            slot = len(self._grad_gates) - 1 - waiting
            grad_gates = self._grad_gates[slot]
            # Step by step, since what comes next may give all of them in another order.
            grad_h = self._grad_h, run.ordered(self._grad_outputs[t], run.plan.dtype)
            run.gates.backward(gates[t - first], c_before, c, grad_h, self._grad_c, grad_gates)
            waiting += 1
            if t or self._needs.h_0:
                self._grad_h = run.conv_h.input_gradient(grad_gates, self._h[0].shape)
            if waiting == len(self._grad_gates) or t == first:
                self._collect(t, self._grad_gates[slot:])
                waiting = 0

    def _collect(self, t: int, grad_gates: Tensor) -> None:
        """What the gradients to the gates (n, B, 4*hidden, H, W) of the steps from `t` on give to x and the weights."""
        run, n = self._run, len(grad_gates)
        stacked = grad_gates.flatten(0, 1)
        if run.conv_x is not None:
            x = run.x[t : t + n].flatten(0, 1)
            if self._needs.weight_ih:
                run.conv_x.add_weight_gradient(stacked, x)
            if self._needs.x:
                self._grad_x.append(run.conv_x.input_gradient(stacked, x.shape).view(n, -1, *x.shape[1:]))
        if self._needs.weight_hh:
            if t == 0:
                if run.h_0 is not None:
                    run.conv_h.add_weight_gradient(grad_gates[0], run.h_0)
                grad_gates, t, n = grad_gates[1:], 1, n - 1
            if n:
                run.conv_h.add_weight_gradient(grad_gates.flatten(0, 1), self._h[t - 1 : t - 1 + n].flatten(0, 1))

    def gradients(self) -> tuple[Tensor | None, ...]:
        """To each of the inputs, in their types; None where none is needed."""
        run, needs = self._run, self._needs
        sums = run.gates.sums()
        x = torch.cat(self._grad_x[::-1]).transpose(0, 1) if needs.x else None
        ih = run.conv_x.weight_gradient() if run.conv_x is not None else None
        hh = run.conv_h.weight_gradient()
        if hh is None:  # of a single step from zeros
            hh = torch.zeros_like(run.inputs.weight_hh)
        found = (x, self._grad_h, self._grad_c, ih, hh, sums.bias, *(sums.peepholes or (None,) * 3))
        return tuple(
            gradient.to(to.dtype) if needed and gradient is not None and to is not None else None
            for gradient, to, needed in zip(found, run.inputs, needs, strict=True)
        )


def _differentiable_gradients(
    inputs: _Inputs,
    needs: tuple[bool, ...],
    rules: CellRules,
    plan: Plan,
    gradients: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    """The gradients as a graph that can be differentiated again: autograd's own, through `cell_step`."""
    # Aliases, because one input may depend on another (a state that was passed on, on the weights): a gradient to the
    # inputs themselves would run through that too, and a second time when autograd goes on from here.
    inputs = _Inputs(*(None if tensor is None else tensor.view_as(tensor) for tensor in inputs))  # type: ignore[arg-type]
    state = None if inputs.h_0 is None or inputs.c_0 is None else (inputs.h_0, inputs.c_0)
    mixed = plan.dtype if plan.dtype != plan.c_dtype else None
    with autocast(inputs.weight_hh.device, mixed):
        outputs, (h, c) = _step_by_step(inputs.x, state, inputs.weights, rules, plan.steps, plan.shape)
        outputs = outputs.transpose(0, 1)
    results = [(out, grad) for out, grad in zip((outputs, h, c), gradients, strict=True) if grad is not None]
    wanted = [tensor for tensor, needed in zip(inputs, needs, strict=True) if needed and tensor is not None]
    found = iter(
        torch.autograd.grad(
            [out for out, _ in results],
            wanted,
            [grad.to(out.dtype) for out, grad in results],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [
        next(found) if needed and tensor is not None else None for tensor, needed in zip(inputs, needs, strict=True)
    ]
