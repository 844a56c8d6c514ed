"""What the recurrence asks of an implementation of the gate arithmetic, and what the compiled kernels share.

Tensors are (B, channels, H, W) in one of two memory orders: all channels of a position together (channels last), or
all positions of a channel together. Gates may have a lower precision than the cell state; the arithmetic has the
precision of the cell state.
"""

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, Peepholes
from convlstm_cli.nn.kinds import GATE_ACTIVATION_KINDS

NO_PEEPHOLE = 0
KERNEL_PEEPHOLES = {"channel": 1, "full": 2}
"""The number by which `gates.c` and `triton.py` know a kind of peephole; another kind is left to `EagerGates`."""


class Sums(NamedTuple):
    """Gradients to the weights that all steps share."""

    bias: Tensor
    """(4*hidden,)"""
    peepholes: Peepholes | None
    """Each in the shape of its peephole."""


class Gates(Protocol):
    """The gate arithmetic of one sequence: many steps with the same weights, sizes, type and memory order."""

    fuses: bool
    """Whether this is a `FusingGates`."""

    def __init__(
        self, peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
    ) -> None:
        """For gates of type `dtype` and for cell states of the type, size and device of `c`."""

    def forward(self, gates: Tensor, c_before: Tensor, c: Tensor, h: Tensor, *, keep: bool) -> None:
        """Computes c_t and h_t from gates (B, 4*hidden, H, W) before activation and c_{t-1}, into `c` and `h`.

        `c` may be `c_before`. With `keep` the activated gates replace `gates`; without, its content is undefined.
        """

    def backward(
        self, gates: Tensor, c_before: Tensor, c: Tensor, grad_h: tuple[Tensor, Tensor], grad_c: Tensor, out: Tensor
    ) -> None:
        """Computes the gradient to the gates before activation into `out`, and turns that to c_t into that to c_{t-1}.

        `gates` are the activated ones. `c_before` and `c` have the type of the cell state or that of the gates. The
        gradient to h_t is the sum of the two in `grad_h`. `grad_c` is overwritten.
        """

    def sums(self) -> Sums:
        """The gradients to bias and peepholes, summed over all calls of `backward`."""


class FusingGates(Gates, Protocol):
    """Gate arithmetic that adds to the gates, and writes a second c, in the pass that reads the gates.

    The others do neither: where they compute, convolutions add at less cost, and c is kept as it is.
    """

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
        """As `Gates.forward`, of gates to which `more` and `bias` are added first.

        `more` has the shape, type and memory order of the gates, and `bias` (4*hidden,) the type of the cell state. c_t
        is written to `c_kept` too, in the type of that.
        """


def as_fusing(gates: Gates) -> FusingGates | None:
    """The gates, if they fuse; else None."""
    return cast(FusingGates, gates) if gates.fuses else None


def has_kernel_for(peepholes: Peepholes | None, rules: CellRules) -> bool:
    """Whether the compiled kernels know this kind of peephole."""
    return peepholes is None or rules.peephole in KERNEL_PEEPHOLES


def kernel_peephole(peepholes: Peepholes | None, rules: CellRules) -> int:
    """The kernels' number for the kind of peephole."""
    return NO_PEEPHOLE if peepholes is None else KERNEL_PEEPHOLES[rules.peephole]


def kernel_slope(rules: CellRules) -> float:
    """Slope of a hard sigmoid; 0 stands for the logistic function."""
    assert isinstance(rules.gate_activation, str)
    return GATE_ACTIVATION_KINDS[rules.gate_activation].slope or 0.0


def in_memory_order(weight: Tensor, *, channels_last: bool) -> Tensor:
    """A peephole (hidden, H, W) as (H, W, hidden) where channels lie together; (hidden, 1, 1) stays as it is."""
    return (weight.permute(1, 2, 0) if channels_last else weight).contiguous()
