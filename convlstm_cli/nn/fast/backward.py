"""The backward pass of a sequence: the gradient to each of its inputs."""

import torch
from torch import Tensor

from convlstm_cli.nn.fast.forward import ForwardPass
from convlstm_cli.nn.fast.inputs import Inputs


class BackwardPass:
    """The backward pass of a sequence, from its last segment to its first."""

    def __init__(
        self, run: ForwardPass, needs: tuple[bool, ...], h: Tensor, gradients: tuple[Tensor | None, ...]
    ) -> None:
        plan = run.plan
        self._run, self._needs, self._h = run, Inputs(*needs), h  # type: ignore[arg-type]
        outputs, grad_h, grad_c = gradients
        self._zeros = run.frames(1, plan.dtype)[0].zero_()
        self._grad_outputs = outputs
        self._grad_h = self._zeros if grad_h is None else run.ordered(grad_h, plan.dtype)
        self._grad_c = run.frames(1, plan.c_dtype)[0]
        if grad_c is None:
            self._grad_c.zero_()
        else:
            self._grad_c.copy_(grad_c)
        self._grad_x: Tensor | None = None
        self._grad_gates = run.frames(min(plan.block, plan.steps), plan.dtype, channels=4)

    def segment(self, first: int, states: list[Tensor], gates: list[Tensor]) -> None:
        """Goes back over the steps from `first` on, with c before and after each of them and their activated gates."""
        run = self._run
        waiting, grad_outputs = 0, self._zeros[None]
        for t in reversed(range(first, first + len(gates))):
            c_before, c = states[t - first : t - first + 2]
            # Filled from the end, so that the steps lie in the order of time.
            slot = len(self._grad_gates) - 1 - waiting
            grad_gates = self._grad_gates[slot]
            if waiting == 0 and self._grad_outputs is not None:
                # A block at a time, because the gradient of all outputs may come in another memory order.
                before = max(first, t + 1 - len(self._grad_gates))
                grad_outputs = run.ordered(self._grad_outputs[before : t + 1], run.plan.dtype)
            grad_h = self._grad_h, grad_outputs[-1 - waiting if self._grad_outputs is not None else 0]
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
