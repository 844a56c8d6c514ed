"""A ConvLSTM layer over a whole sequence, fast. Tests compare this file with the equations in `nn/cell.py`.

`unroll` decides how a sequence is computed: as one autograd function with its own backward, or step by step
(`stepwise.py`). The latter is for options that the fast way does not know, for devices without measurements, and for
whatever has to see every operation: torch.compile, torch.export, functorch and forward-mode gradients.

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
from convlstm_cli.nn.cell import CellRules, CellWeights, Peepholes
from convlstm_cli.nn.convolution import Convolution, Joined, joins, takes_winograd
from convlstm_cli.nn.kinds import GATE_ACTIVATION_KINDS
from convlstm_cli.nn.stepwise import NO_MASKS, SequenceMasks, step_by_step
from convlstm_cli.nn.stepwise import State as State
from convlstm_cli.nn.winograd import with_room

BLOCK_BYTES = {"cpu": 8 << 20, "cuda": 64 << 20, "meta": 8 << 20}
"""One input convolution, and one sum of weight gradients, covers as many steps as have gates of so many bytes.
The devices are those on which the fast way is taken. Meta stands for the CPU: it computes nothing, and memory is
counted on it."""
SMALL = 24 * 24
"""Positions up to which oneDNN's AVX2 convolutions gain more from reordering frames than the reordering costs."""


class Plan(NamedTuple):
    """How a sequence is computed."""

    steps: int
    shape: tuple[int, int, int, int]
    """(B, hidden, H, W) of the states."""
    dtype: torch.dtype
    """Type of convolutions, gates and hidden states."""
    c_dtype: torch.dtype
    """Type of the cell state and of the gate arithmetic: float32, or float64 where everything is."""
    channels_last: bool
    """Whether all channels of a position lie together in memory, or all positions of a channel."""
    recording: bool
    """Whether gradients are enabled: then the forward keeps what the backward of an input needs."""
    segment: int
    """Steps whose gates are kept for the backward at a time; the backward computes the other segments again."""


def unroll(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    *,
    steps: int,
    shape: tuple[int, ...],
    masks: SequenceMasks = NO_MASKS,
    checkpoint_every: int | None = None,
) -> tuple[Tensor, State]:
    """The cell over a sequence.

    Args:
        x: (B, T, in, H, W), or None for a cell without input.
        state: (h_0, c_0); None starts from zeros.
        weights: the parameters.
        rules: the rest of what defines the cell.
        steps: T.
        shape: (B, hidden, H, W) of the states.
        masks: what the steps leave out.
        checkpoint_every: keep the gates of so many steps at most; the backward computes the others again.

    Returns:
        h_1 ... h_T as (B, T, hidden, H, W), a view whose memory has another order, and (h_T, c_T).
    """
    if len(shape) == 3 and masks is NO_MASKS:
        return _as_images(x, state, weights, rules, steps, shape, checkpoint_every)
    plan = None
    if masks is NO_MASKS and _knows(weights, rules):
        batch, hidden, height, width = shape
        plan = _plan(x, state, weights, steps, (batch, hidden, height, width), checkpoint_every)
    if plan is None:
        return step_by_step(x, state, weights, rules, steps, shape, masks)
    h_0, c_0 = state if state is not None else (None, None)
    weight_ih, weight_hh, bias, *_ = weights
    if bias is None:
        bias = weight_hh.new_zeros(len(weight_hh))
    peephole_i, peephole_f, peephole_o = weights.peepholes if weights.peepholes is not None else (None, None, None)
    inputs = _Inputs(x, h_0, c_0, weight_ih, weight_hh, bias, peephole_i, peephole_f, peephole_o)
    with autocast(weight_hh.device, None):  # the plan has the types
        outputs, h, c = _Sequence.apply(rules, plan, *inputs)  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), (h, c)


def _as_images(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    rules: CellRules,
    steps: int,
    shape: tuple[int, ...],
    checkpoint_every: int | None,
) -> tuple[Tensor, State]:
    """One spatial dimension as images of height 1, if that makes it fast."""

    def image(part: Tensor) -> Tensor:
        return part.unsqueeze(-2)

    peepholes = None if weights.peepholes is None else Peepholes(*map(image, weights.peepholes))
    weight_ih = None if weights.weight_ih is None else image(weights.weight_ih)
    lifted = weights._replace(weight_ih=weight_ih, weight_hh=image(weights.weight_hh), peepholes=peepholes)
    if not _knows(lifted, rules):
        return step_by_step(x, state, weights, rules, steps, shape)
    outputs, (h, c) = unroll(
        None if x is None else image(x),
        None if state is None else (image(state[0]), image(state[1])),
        lifted,
        rules,
        steps=steps,
        shape=(*shape[:2], 1, shape[2]),
        checkpoint_every=checkpoint_every,
    )
    return outputs.squeeze(-2), (h.squeeze(-2), c.squeeze(-2))


def _knows(weights: CellWeights, rules: CellRules) -> bool:
    """Whether the fast way computes these options: those of the paper and of most other systems, on images."""
    return (
        _is_odd(weights.weight_hh)
        and (weights.weight_ih is None or _is_odd(weights.weight_ih))
        and weights.norms is None
        and rules.padding in ("same", "valid")
        and rules.stride is None
        and rules.dilation is None
        and rules.activation == "tanh"
        and isinstance(rules.gate_activation, str)
        and rules.gate_activation in GATE_ACTIVATION_KINDS
        and rules.zoneout == (0.0, 0.0)
    )


def _is_odd(weight: Tensor) -> bool:
    """Whether a kernel over images has a centre."""
    return weight.ndim == 4 and weight.shape[2] % 2 == weight.shape[3] % 2 == 1


def _plan(
    x: Tensor | None,
    state: State | None,
    weights: CellWeights,
    steps: int,
    shape: tuple[int, int, int, int],
    checkpoint_every: int | None,
) -> Plan | None:
    """The plan for the fast way, or None where the sequence has to be computed step by step."""
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
    """Whether convolutions are faster with channels last; `scripts/benchmark_speed.py --convolutions` measures it."""
    if weight.device.type == "cuda":
        return dtype != torch.float64
    # The CPU, and meta, which stands for it.
    if dtype == torch.float64 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if takes_winograd(weight, (weight.shape[2] // 2, weight.shape[3] // 2), dtype, size):
        return True
    wide = torch.backends.cpu.get_cpu_capability() != "AVX2"
    return wide or dtype != torch.float32 or size[0] * size[1] > SMALL


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[Any]:
    """Context with autocast to this type; None switches autocast off."""
    if not torch.amp.is_autocast_available(device.type) or (
        dtype is None and not torch.is_autocast_enabled(device.type)
    ):
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
    """The fast way as one autograd function."""

    @staticmethod
    def forward(ctx: Any, rules: CellRules, plan: Plan, *inputs: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        differentiated = plan.recording and any(ctx.needs_input_grad)
        run = _Run(_Inputs(*inputs), rules, plan)  # type: ignore[arg-type]
        h = run.frames(plan.steps, plan.dtype)
        c = run.c_0
        kept: list[Tensor] = []  # c before each segment; with one segment, c of all steps and the gates
        for first in range(0, plan.steps, plan.segment):
            whole = differentiated and plan.segment == plan.steps
            before = c
            c, states, gates = run.forward(first, min(first + plan.segment, plan.steps), c, h, keep=whole)
            kept += [*states, *gates] if whole else [before]
        if differentiated:
            ctx.save_for_backward(*inputs, h, *kept)
            ctx.how = rules, plan
            ctx.set_materialize_grads(False)
        # Copies, because a view of h would keep all of it alive, and the backward needs c unchanged.
        return h, h[-1].clone(), c.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        rules, plan = ctx.how
        saved = ctx.saved_tensors
        count = len(_Inputs._fields)
        inputs, h, kept = _Inputs(*saved[:count]), saved[count], list(saved[count + 1 :])
        needs = ctx.needs_input_grad[2:]
        with autocast(inputs.weight_hh.device, None):
            if torch.is_grad_enabled():  # create_graph: gradients of gradients follow
                return None, None, *_differentiable_gradients(inputs, needs, rules, plan, gradients)
            run = _Run(inputs, rules, plan)
            # Hooks on saved tensors, such as those that move them to the CPU, may return another memory order.
            h, kept = run.ordered(h, h.dtype), [run.ordered(tensor, tensor.dtype) for tensor in kept]
            backward = _Backward(run, needs, h, gradients)
            for first in reversed(range(0, plan.steps, plan.segment)):
                last = min(first + plan.segment, plan.steps)
                if plan.segment == plan.steps:
                    states, gates = kept[: plan.steps + 1], kept[plan.steps + 1 :]
                else:
                    c = kept.pop()
                    _, states, gates = run.forward(first, last, c, h, keep=True, known=True)
                backward.segment(first, states, gates)
            return None, None, *backward.gradients()


class _Run:
    """The inputs of a sequence in the plan's types and memory order, and its forward pass."""

    def __init__(self, inputs: _Inputs, rules: CellRules, plan: Plan) -> None:
        weights = inputs.weights
        self.inputs, self.plan = inputs, plan
        same = weights.weight_hh.shape[2] // 2, weights.weight_hh.shape[3] // 2
        self.conv_h = Convolution(weights.weight_hh, same, plan.dtype, plan.shape[2:], channels_last=plan.channels_last)
        self.conv_x, self.joined = None, None
        if weights.weight_ih is not None and inputs.x is not None:
            kernel = weights.weight_ih.shape[2:]
            padding = (kernel[0] // 2, kernel[1] // 2) if rules.padding == "same" else (0, 0)
            size = inputs.x.shape[-2], inputs.x.shape[-1]
            self.conv_x = Convolution(weights.weight_ih, padding, plan.dtype, size, channels_last=plan.channels_last)
            if (
                plan.channels_last
                and padding == same
                and joins(weights.weight_hh, weights.weight_ih, same, plan.dtype, plan.shape[2:])
            ):
                self.joined = Joined(weights.weight_hh, weights.weight_ih)
                self.x = with_room(inputs.x.detach().transpose(0, 1))
            else:
                self.x = self.ordered(inputs.x.transpose(0, 1), plan.dtype)  # (T, B, in, H, W)
        self.h_0 = None if inputs.h_0 is None else self.ordered(inputs.h_0, plan.dtype)
        if inputs.c_0 is not None:
            self.c_0 = self.ordered(inputs.c_0, plan.c_dtype)
        else:
            self.c_0 = self.frames(1, plan.c_dtype)[0].zero_()
        peepholes = weights.peepholes
        if peepholes is not None:
            peepholes = Peepholes(*(peephole.detach() for peephole in peepholes))
        self.gates = arithmetic.choose(peepholes, rules, plan.dtype, self.c_0, channels_last=plan.channels_last)
        # Once in the sum: by a convolution, or by the gate arithmetic if that takes no pass more.
        bias = inputs.bias.detach()
        self.bias = None if self.gates.fuses else bias.to(plan.dtype).contiguous()
        self.late_bias = bias.to(plan.c_dtype).contiguous() if self.gates.fuses else None
        # In the type of the gates, where that takes no pass more; the gradients lose nothing by it (scripts/README.md).
        self.kept_dtype = plan.dtype if self.gates.fuses else plan.c_dtype
        gate_bytes = 4 * math.prod(plan.shape) * plan.dtype.itemsize
        self.block = max(1, BLOCK_BYTES[weights.weight_hh.device.type] // gate_bytes)

    def frames(self, count: int, dtype: torch.dtype, channels: int = 1) -> Tensor:
        """Uninitialised memory for `count` states, (count, B, hidden, H, W), or for gates with `channels` = 4."""
        batch, hidden, height, width = self.plan.shape
        shape = count, batch, channels * hidden, height, width
        if not self.plan.channels_last:
            return self.inputs.weight_hh.new_empty(shape, dtype=dtype)
        # Not a permuted view, because autograd forbids in-place changes of views that a function returns.
        across = channels * hidden
        strides = math.prod(shape[1:]), math.prod(shape[2:]), 1, width * across, across
        return self.inputs.weight_hh.new_empty_strided(shape, strides, dtype=dtype)

    def ordered(self, frames: Tensor, dtype: torch.dtype) -> Tensor:
        """(..., channels, H, W) in the plan's memory order; the same tensor where it has that order already."""
        frames = frames.detach().to(dtype)
        if self.plan.channels_last:
            return frames.movedim(-3, -1).contiguous().movedim(-1, -3)
        return frames.contiguous()

    def forward(
        self, first: int, last: int, c: Tensor, h: Tensor, *, keep: bool, known: bool = False
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Computes the steps from `first` up to `last`, from c before them, and writes h_t into `h[t]`.

        With `known`, h_t is there already and is not written. Returns the last c; and for the backward, with `keep`, c
        before the first and after each step and the activated gates of each step, else none of these.
        """
        batch = self.plan.shape[0]
        states, kept = [c.to(self.kept_dtype)] if keep else [], []
        copies = keep and self.kept_dtype != c.dtype
        nowhere = self.frames(1, self.plan.dtype)[0] if known else None
        block: Tensor | None = None
        for t in range(first, last):
            h_before = h[t - 1] if t else self.h_0
            more: Tensor | None = None
            if self.joined is not None and h_before is not None:
                gates = self.joined.output(h_before, self.x[t], self.bias)
            elif self.conv_x is None:
                assert h_before is not None
                gates = self.conv_h.output(h_before, self.bias)
            else:
                at = (t - first) % self.block
                if at == 0:
                    ahead = self.block if self.joined is None else 1
                    block = self.conv_x.output(self.x[t : min(t + ahead, last)].flatten(0, 1), self.bias)
                assert block is not None
                gates = block[at * batch : (at + 1) * batch]  # (B, 4*hidden, H, W)
                if h_before is not None and self.gates.fuses:
                    more = self.conv_h.output(h_before)
                elif h_before is not None:
                    self.conv_h.add_output(gates, h_before)
            # A second buffer for c, because the given one belongs to the caller.
            after = self.frames(1, self.plan.c_dtype)[0] if (keep and not copies) or t == first else c
            c_kept = self.frames(1, self.kept_dtype)[0] if copies else None
            into = h[t] if nowhere is None else nowhere
            self.gates.forward(gates, c, after, into, keep=keep, more=more, bias=self.late_bias, c_kept=c_kept)
            c = after
            if keep:
                states.append(c if c_kept is None else c_kept)
                kept.append(gates)
        return c, states, kept


class _Backward:
    """The backward pass of a sequence, from its last segment to its first."""

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
        self._grad_x: Tensor | None = None
        self._grad_gates = run.frames(min(run.block, plan.steps), plan.dtype, channels=4)

    def segment(self, first: int, states: list[Tensor], gates: list[Tensor]) -> None:
        """Goes back over the steps from `first` on, with c before and after each of them and their activated gates."""
        run = self._run
        waiting = 0
        for t in reversed(range(first, first + len(gates))):
            c_before, c = states[t - first : t - first + 2]
            # Filled from the end, so that the steps lie in the order of time.
            slot = len(self._grad_gates) - 1 - waiting
            grad_gates = self._grad_gates[slot]
            # One step at a time, because the gradient of all outputs may come in another memory order.
            grad_h = self._grad_h, run.ordered(self._grad_outputs[t], run.plan.dtype)
            run.gates.backward(gates[t - first], c_before, c, grad_h, self._grad_c, grad_gates)
            waiting += 1
            if t or self._needs.h_0:
                self._grad_h = run.conv_h.input_gradient(grad_gates, self._h[0])
            if waiting == len(self._grad_gates) or t == first:
                self._collect(t, self._grad_gates[slot:])
                waiting = 0

    def _collect(self, t: int, grad_gates: Tensor) -> None:
        """Adds to the gradients of x and the weights; `grad_gates` (n, B, 4*hidden, H, W) begin at step `t`."""
        run, n = self._run, len(grad_gates)
        stacked = grad_gates.flatten(0, 1)
        if run.conv_x is not None:
            x = run.x[t : t + n].flatten(0, 1)
            if self._needs.weight_ih and run.joined is None:
                run.conv_x.add_weight_gradient(stacked, x)
            if self._needs.x:
                if self._grad_x is None:
                    self._grad_x = torch.empty_like(run.x)
                self._grad_x[t : t + n] = run.conv_x.input_gradient(stacked, x).view(n, -1, *x.shape[1:])
        if self._needs.weight_hh or (self._needs.weight_ih and run.joined is not None):
            if t == 0:
                if run.h_0 is not None:
                    self._collect_from_h(0, grad_gates[0], run.h_0, 1)
                elif run.joined is not None and run.conv_x is not None:
                    run.conv_x.add_weight_gradient(grad_gates[0], run.x[0])
                grad_gates, t, n = grad_gates[1:], 1, n - 1
            if n:
                self._collect_from_h(t, grad_gates.flatten(0, 1), self._h[t - 1 : t - 1 + n].flatten(0, 1), n)

    def _collect_from_h(self, t: int, grad_gates: Tensor, h: Tensor, n: int) -> None:
        """Adds to the gradients of the weights for `n` steps from `t` on, with h before each; all (n * B, ...)."""
        run = self._run
        if run.joined is not None:
            run.joined.add_weight_gradient(grad_gates, h, run.x[t : t + n].flatten(0, 1))
        else:
            run.conv_h.add_weight_gradient(grad_gates, h)

    def gradients(self) -> tuple[Tensor | None, ...]:
        """The gradient to each input, in its type; None where none is needed."""
        run, needs = self._run, self._needs
        sums = run.gates.sums()
        x = self._grad_x.transpose(0, 1) if self._grad_x is not None else None
        ih = run.conv_x.weight_gradient() if run.conv_x is not None else None
        hh = run.conv_h.weight_gradient()
        if run.joined is not None:
            hh, more = run.joined.weight_gradients()
            ih = more if ih is None else ih if more is None else ih + more
        if hh is None:  # a single step from zeros
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
    """The gradients as a differentiable graph, by autograd through `cell_step`."""
    # Aliases, because one input may depend on another, as a state of an earlier call does on the weights: a gradient to
    # the inputs themselves would include that path, which autograd adds once more afterwards.
    inputs = _Inputs(*(None if tensor is None else tensor.view_as(tensor) for tensor in inputs))  # type: ignore[arg-type]
    state = None if inputs.h_0 is None or inputs.c_0 is None else (inputs.h_0, inputs.c_0)
    mixed = plan.dtype if plan.dtype != plan.c_dtype else None
    with autocast(inputs.weight_hh.device, mixed):
        outputs, (h, c) = step_by_step(inputs.x, state, inputs.weights, rules, plan.steps, plan.shape)
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
