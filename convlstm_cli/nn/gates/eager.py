"""The gate arithmetic in torch operations, for every device and type. The kernels are checked against it."""

import torch
from torch import Tensor

from convlstm_cli.nn.activations import function
from convlstm_cli.nn.cell import CellRules, Peepholes
from convlstm_cli.nn.gates.protocol import Sums, kernel_slope


class EagerGates:
    """The gate arithmetic in torch operations; methods as in `protocol.FusingGates`.

    It fuses nothing, since each operation is a pass of its own. It takes what fusing kernels add all the same, because
    these are checked against it.
    """

    fuses = False

    def __init__(self, peepholes: Peepholes | None, rules: CellRules) -> None:
        self._peepholes, self._rules = peepholes, rules
        self._sums: list[Tensor] = []

    def forward(
        self,
        gates: Tensor,
        c_before: Tensor,
        c: Tensor,
        h: Tensor,
        *,
        keep: bool,
        more: Tensor | None = None,
        bias: Tensor | None = None,
        c_kept: Tensor | None = None,
    ) -> None:
        peepholes, clip = self._peepholes, self._rules.cell_clip
        exact = gates.to(c.dtype)
        if more is not None:
            exact.add_(more)
        if bias is not None:
            exact.add_(bias[:, None, None])
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
        if c_kept is not None:
            c_kept.copy_(c)
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
        c_before, c = c_before.to(grad_c.dtype), c.to(grad_c.dtype)
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
        """Applies σ in place."""
        if self._rules.gate_activation == "sigmoid":
            gates.sigmoid_()
        else:
            gates.copy_(function(self._rules.gate_activation)(gates))

    def _slope(self, activated: Tensor) -> Tensor:
        """The derivative of σ, from the value of σ."""
        slope = kernel_slope(self._rules)
        if not slope:
            return activated * (1.0 - activated)
        return ((activated > 0.0) & (activated < 1.0)).to(activated.dtype) * slope
