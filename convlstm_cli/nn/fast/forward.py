"""The forward pass of a sequence, which keeps what its backward pass reads."""

import math

import torch
from torch import Tensor

from convlstm_cli.nn import gates as arithmetic
from convlstm_cli.nn.cell import CellRules, Peepholes
from convlstm_cli.nn.convolution import Convolution, Joined, joins
from convlstm_cli.nn.fast.inputs import Inputs
from convlstm_cli.nn.fast.plan import Plan
from convlstm_cli.nn.winograd import with_room


class ForwardPass:
    """The inputs of a sequence in the plan's types and memory order, and its forward pass."""

    def __init__(self, inputs: Inputs, rules: CellRules, plan: Plan) -> None:
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
        self.fusing = arithmetic.as_fusing(self.gates)
        # Added once: by a convolution, or by the gate arithmetic where that takes no pass more.
        bias = inputs.bias.detach()
        self.bias = bias.to(plan.dtype).contiguous() if self.fusing is None else None
        self.late_bias = None if self.fusing is None else bias.to(plan.c_dtype).contiguous()
        # In the type of the gates, where that takes no pass more; the gradients lose nothing by it (scripts/README.md).
        self.kept_dtype = plan.c_dtype if self.fusing is None else plan.dtype

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
        states, kept = [c.to(self.kept_dtype)] if keep else [], []
        copies = keep and self.kept_dtype != c.dtype
        nowhere = self.frames(1, self.plan.dtype)[0] if known else None
        from_x = None if self.conv_x is None else _InputGates(self, self.conv_x, first, last)
        for t in range(first, last):
            h_before = h[t - 1] if t else self.h_0
            more: Tensor | None = None
            if self.joined is not None and h_before is not None:
                gates = self.joined.output(h_before, self.x[t], self.bias)
            elif from_x is None:
                assert h_before is not None
                gates = self.conv_h.output(h_before, self.bias)
            else:
                gates = from_x.at(t)
                if h_before is not None and self.fusing is not None:
                    more = self.conv_h.output(h_before)
                elif h_before is not None:
                    self.conv_h.add_output(gates, h_before)
            # A second buffer for c, because the given one belongs to the caller.
            after = self.frames(1, self.plan.c_dtype)[0] if (keep and not copies) or t == first else c
            c_kept = self.frames(1, self.kept_dtype)[0] if copies else None
            into = h[t] if nowhere is None else nowhere
            if self.fusing is None:
                self.gates.forward(gates, c, after, into, keep=keep)
            else:
                self.fusing.forward(gates, c, after, into, keep=keep, more=more, bias=self.late_bias, c_kept=c_kept)
            c = after
            if keep:
                states.append(c if c_kept is None else c_kept)
                kept.append(gates)
        return c, states, kept


class _InputGates:
    """W_x * x_t + b of each step of a segment, convolved a block of steps at a time."""

    def __init__(self, run: ForwardPass, conv: Convolution, first: int, last: int) -> None:
        self._run, self._conv, self._first, self._last = run, conv, first, last
        # With joined convolutions only the first step of a sequence asks, because it has no h to join.
        self._ahead = run.plan.block if run.joined is None else 1
        self._block: Tensor | None = None

    def at(self, t: int) -> Tensor:
        """(B, 4*hidden, H, W) of step t; the steps are asked for in their order."""
        run, batch = self._run, self._run.plan.shape[0]
        position = (t - self._first) % run.plan.block
        if position == 0:
            frames = run.x[t : min(t + self._ahead, self._last)].flatten(0, 1)
            self._block = self._conv.output(frames, run.bias)
        assert self._block is not None
        return self._block[position * batch : (position + 1) * batch]
