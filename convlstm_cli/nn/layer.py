"""`ConvLSTM`: one layer over a whole sequence, an nn.Module that can be used alone."""

from typing import Literal

import torch
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.cell import CellRules, CellWeights, Peepholes
from convlstm_cli.nn.config import check_odd
from convlstm_cli.nn.kinds import PEEPHOLES, GateActivation, Peephole, PeepholeInit
from convlstm_cli.nn.recurrence import State, unroll
from convlstm_cli.settings import check_choice

Padding = Literal["same", "valid"]


class ConvLSTM(nn.Module):
    """A ConvLSTM layer (Shi et al. 2015, eq. 3); the equations are in `nn/cell.py`.

    Every day:
        in_channels: channels of x; 0 for a cell without input, which is called with `steps`.
        hidden_channels: channels of the hidden state h and the cell state c.
        kernel_size: side of the input-to-state kernels, odd.
        recurrent_kernel_size: side of the state-to-state kernels, odd; None takes `kernel_size`.
        peephole: "none" (Keras' ConvLSTM2D), "channel" (one weight per channel, any image size; what the
            paper's parameter counts say it used) or "full" (one weight per channel and position).
        image_size: (H, W) of the hidden state; only "full" needs it, and then only that size fits.

    Rarely:
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015); stored, not added at run time.
        gate_activation: "sigmoid", "hard_sigmoid_keras3" (x/6 + 0.5) or "hard_sigmoid_keras2" (0.2x + 0.5).
        peephole_init: "zeros", so that training starts at the plain cell, or "uniform", glorot over the
            peephole's channels as Keras' PeepholeLSTMCell does.
        detach_peepholes: Gers' rule (Gers, Schraudolph and Schmidhuber 2002): the gates send no gradient
            through the peepholes into the cell state; the peepholes themselves still learn.
        cell_clip: bound of |c|, as in TensorFlow v1's LSTMCell.
        padding: "same", or "valid", which shrinks the image by kernel_size - 1 as ConvLSTM2D does by default.
        checkpoint_every: keep the gates of so many steps at most for the backward, which computes the others again:
            less memory for long sequences, for about a third more time. None keeps all.

    Parameters, gates stacked i, f, g, o along the first axis:
        weight_ih (4*hidden, in, k, k), glorot uniform; None if in_channels is 0
        weight_hh (4*hidden, hidden, r, r), orthogonal
        bias (4*hidden,), zero but for f
        peephole_i, peephole_f, peephole_o (hidden, 1, 1) or (hidden, H, W); None if peephole is "none"

    Raises UsageError (a ValueError) for an even kernel, an unknown choice or a missing image size.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        recurrent_kernel_size: int | tuple[int, int] | None = None,
        *,
        peephole: Peephole = "channel",
        image_size: tuple[int, int] | None = None,
        forget_bias: float = 1.0,
        gate_activation: GateActivation = "sigmoid",
        peephole_init: PeepholeInit = "zeros",
        detach_peepholes: bool = False,
        cell_clip: float | None = None,
        padding: Padding = "same",
        checkpoint_every: int | None = None,
    ) -> None:
        super().__init__()
        kernel = _pair("kernel_size", kernel_size)
        recurrent = kernel if recurrent_kernel_size is None else _pair("recurrent_kernel_size", recurrent_kernel_size)
        check_choice("peephole", peephole, Peephole)
        check_choice("gate_activation", gate_activation, GateActivation)
        check_choice("peephole_init", peephole_init, PeepholeInit)
        check_choice("padding", padding, Padding)
        if in_channels < 0 or hidden_channels < 1:
            raise UsageError(f"in_channels is {in_channels} and hidden_channels {hidden_channels}; give >= 0 and >= 1.")
        if cell_clip is not None and cell_clip <= 0:
            raise UsageError(f"cell_clip is {cell_clip}; it must be positive, or None for no bound.")
        if checkpoint_every is not None and checkpoint_every < 1:
            raise UsageError(f"checkpoint_every is {checkpoint_every}; it must be at least 1 step, or None for all.")
        kind = PEEPHOLES[peephole]
        if kind.fixes_size and image_size is None:
            raise UsageError(
                f"peephole={peephole!r} has one weight per position, so it needs image_size=(height, width); "
                "peephole='channel' works at any size."
            )

        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel
        self.recurrent_kernel_size = recurrent
        self.peephole = peephole
        self.image_size = image_size if kind.fixes_size else None
        self.forget_bias = forget_bias
        self.peephole_init = peephole_init
        self.padding = padding
        self.checkpoint_every = checkpoint_every
        self.rules = CellRules(
            gate_activation, (0, 0) if padding == "valid" else None, cell_clip, detach_peepholes, peephole
        )

        gates = 4 * hidden_channels
        self.weight_ih = nn.Parameter(torch.empty(gates, in_channels, *kernel)) if in_channels else None
        self.weight_hh = nn.Parameter(torch.empty(gates, hidden_channels, *recurrent))
        self.bias = nn.Parameter(torch.empty(gates))
        for name in ("peephole_i", "peephole_f", "peephole_o"):
            shape = kind.shape and kind.shape(hidden_channels, self.image_size or (1, 1))
            self.register_parameter(name, None if shape is None else nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    peephole_i: nn.Parameter | None
    peephole_f: nn.Parameter | None
    peephole_o: nn.Parameter | None

    def reset_parameters(self) -> None:
        """Draws initial values: those of Keras' ConvLSTM2D, with `forget_bias` and `peephole_init`."""
        if self.weight_ih is not None:
            nn.init.xavier_uniform_(self.weight_ih)
        nn.init.orthogonal_(self.weight_hh)
        nn.init.zeros_(self.bias)
        with torch.no_grad():
            self.bias[self.hidden_channels : 2 * self.hidden_channels] = self.forget_bias
        # Last, and zeros without a random draw, so that networks with and without peepholes draw the same values for
        # all other parameters.
        bound = (3.0 / self.hidden_channels) ** 0.5
        for peephole in (self.peephole_i, self.peephole_f, self.peephole_o):
            if peephole is None:
                continue
            if self.peephole_init == "zeros":
                nn.init.zeros_(peephole)
            else:
                nn.init.uniform_(peephole, -bound, bound)

    @property
    def weights(self) -> CellWeights:
        """The parameters in the form of the equations in `nn/cell.py`."""
        peepholes = None
        if self.peephole_i is not None and self.peephole_f is not None and self.peephole_o is not None:
            peepholes = Peepholes(self.peephole_i, self.peephole_f, self.peephole_o)
        return CellWeights(self.weight_ih, self.weight_hh, self.bias, peepholes)

    def forward(
        self, x: Tensor | None, state: State | None = None, *, steps: int | None = None
    ) -> tuple[Tensor, State]:
        """Runs the cell over a sequence.

        Args:
            x: (B, T, in, H, W); None for a layer without input.
            state: (h_0, c_0), each (B, hidden, H, W), as a call returned it; None starts from zeros. Two calls, the
                second with the state of the first, compute the same as one long call; the layer keeps no state.
            steps: number of time steps; only where x is None.

        Returns:
            h_1 ... h_T as (B, T, hidden, H, W), and the last (h_T, c_T).

        Raises:
            UsageError: shapes that do not fit this layer; the message names the expected ones.
        """
        if x is None:
            if self.in_channels:
                raise UsageError(f"x is None, but this ConvLSTM reads {self.in_channels} input channels.")
            if state is None or steps is None:
                raise UsageError("a ConvLSTM without input needs a state and the number of steps.")
        else:
            if x.ndim != 5 or x.shape[2] != self.in_channels:
                raise UsageError(f"x has shape {tuple(x.shape)}; expected (B, T, {self.in_channels}, H, W).")
            if not self.in_channels:
                raise UsageError("this ConvLSTM reads no input; call it with x=None, a state and steps.")
            if steps is not None:
                raise UsageError("steps goes with x=None; with an input the sequence has the input's length.")
            steps = x.shape[1]
        if not steps:
            raise UsageError("a sequence needs at least one time step.")
        shape = self._check(state, x)
        return unroll(
            x, state, self.weights, self.rules, steps=steps, shape=shape, checkpoint_every=self.checkpoint_every
        )

    def state_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the states for an input of this size."""
        if self.padding == "valid":
            return height - self.kernel_size[0] + 1, width - self.kernel_size[1] + 1
        return height, width

    def _check(self, state: State | None, x: Tensor | None) -> tuple[int, int, int, int]:
        """The shape of the states."""
        if state is None:
            assert x is not None
            shape = (x.shape[0], self.hidden_channels, *self.state_size(x.shape[-2], x.shape[-1]))
        else:
            h, c = state
            if h.ndim != 4 or h.shape[1] != self.hidden_channels or h.shape != c.shape:
                raise UsageError(
                    f"the state has shapes {tuple(h.shape)} and {tuple(c.shape)}; "
                    f"expected twice (B, {self.hidden_channels}, H, W)."
                )
            shape = (h.shape[0], h.shape[1], h.shape[2], h.shape[3])
            if x is not None:
                expected = (x.shape[0], self.hidden_channels, *self.state_size(x.shape[-2], x.shape[-1]))
                if shape != expected:
                    raise UsageError(f"the state has shape {shape}; this input needs {expected}.")
        self._check_size(shape[2], shape[3])
        return shape

    def _check_size(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise UsageError(f"the input is smaller than the kernel {self.kernel_size}; padding='same' keeps its size.")
        if self.image_size is not None and (height, width) != tuple(self.image_size):
            made = "x".join(map(str, self.image_size))
            raise UsageError(
                f"these {self.peephole} peepholes were made for {made} and the state is {height}x{width}; "
                "peephole='channel' works at any size."
            )

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, kernel_size={self.kernel_size}, "
            f"recurrent_kernel_size={self.recurrent_kernel_size}, peephole={self.peephole!r}"
        )


def _pair(name: str, size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    for side in pair:
        check_odd(name, side)
    return pair
