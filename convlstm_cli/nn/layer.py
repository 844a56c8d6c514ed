"""`ConvLSTM`: one layer over a whole sequence, an nn.Module that can be used alone."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.activations import Activation, check_activation
from convlstm_cli.nn.calls import check_dropout_masks, check_mask, check_type, count_steps, state_shape
from convlstm_cli.nn.cell import CellRules, CellWeights, Norm, Norms, Peepholes
from convlstm_cli.nn.dimensions import CONVOLUTIONS, ConvolutionShape, per_dimension, read_padding
from convlstm_cli.nn.dimensions import Padding as Padding
from convlstm_cli.nn.dropout import DropoutMasks, check_rate, draw
from convlstm_cli.nn.kinds import PEEPHOLES, Peephole, PeepholeInit
from convlstm_cli.nn.padded import unroll_padded
from convlstm_cli.nn.recurrence import unroll
from convlstm_cli.nn.scripted import ScriptedConvLSTM
from convlstm_cli.nn.sequences import (
    DataFormat,
    Layout,
    PartialState,
    Result,
    has_values,
    read_lengths,
    reverse,
    within,
)
from convlstm_cli.nn.stepwise import NO_MASKS, SequenceMasks, State
from convlstm_cli.settings import check_choice

PEEPHOLE_NAMES = ("peephole_i", "peephole_f", "peephole_o")


class ConvLSTM(nn.Module):
    """A ConvLSTM layer (Shi et al. 2015, eq. 3); the equations, with every option, are in `nn/cell.py`.

    Shapes below are those of two dimensions. Options that the fast recurrence does not know are computed step by step,
    which is slower and gives the same: see "What computes where" in nn/README.md.

    Every day:
        in_channels: channels of x; 0 for a cell without input, which is called with `steps`.
        hidden_channels: channels of the hidden state h and the cell state c.
        kernel_size: side of the input-to-state kernels, one number or one for each dimension.
        recurrent_kernel_size: side of the state-to-state kernels; None takes `kernel_size`. An even one shifts the
            state by half a pixel at every step, as in Keras.
        peephole: "none" (Keras' ConvLSTM2D), "channel" (one weight per channel, any image size; what the
            paper's parameter counts say it used) or "full" (one weight per channel and position).
        image_size: (H, W) of the hidden state; only "full" and `layer_norm` need it, and then only that size fits.
        batch_first: sequences are (B, T, ...); False is (T, B, ...), the default of torch.nn.LSTM.
        dimensions: 1, 2 or 3 spatial dimensions, as Keras' ConvLSTM1D, 2D and 3D.
        bias: whether there is one.
        device, dtype: of the parameters.

    The input convolution, as in torch.nn.Conv2d:
        padding: "same", "valid" (ConvLSTM2D's default, which shrinks the image by kernel_size - 1), or zeros on each
            side: of all dimensions, of each, or a pair (before, after) of each. "same" gives ceil(size / stride)
            positions and puts an odd zero after, as TensorFlow does.
        stride, dilation: of the input convolution, never of the recurrent one; Keras' strides and dilation_rate.

    Regularisation, in training mode:
        dropout: rate at which values of x are dropped, with one mask for each gate and the same for all steps: Keras'
            meaning (Gal and Ghahramani 2016). The layers of a `ConvLSTMStack` call it `input_dropout`.
        recurrent_dropout: the same for the hidden state.
        zoneout: rate at which h and c keep their old values (Krueger et al. 2017), one number or (of h, of c). In
            evaluation mode both take the expectation.
        layer_norm: normalises W_x * x_t and W_h * h_{t-1} over gates, channels and positions, as OpenSTL's cell.

    As Keras returns:
        return_sequences: False gives the last output (B, hidden, H, W) instead of all.
        return_state: False gives the outputs alone.
        go_backwards: reads the sequence from its end; outputs are in the order of reading. With lengths, each item is
            read from its own end.
        data_format: "channels_first", or "channels_last" for x, outputs and states with (..., H, W, channels).

    Rarely:
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015); stored, not added at run time. 0 is
            Keras' unit_forget_bias=False.
        activation: instead of tanh, by name (`activations.ACTIVATIONS`) or as a function.
        gate_activation: σ: "sigmoid", "hard_sigmoid_keras3" (x/6 + 0.5), "hard_sigmoid_keras2" (0.2x + 0.5), another
            name or a function; Keras' recurrent_activation.
        peephole_init: "zeros", so that training starts at the plain cell, or "uniform", glorot over the
            peephole's channels as Keras' PeepholeLSTMCell does.
        detach_peepholes: Gers' rule (Gers, Schraudolph and Schmidhuber 2002): the gates send no gradient
            through the peepholes into the cell state; the peepholes themselves still learn.
        cell_clip: bound of |c|, as in TensorFlow v1's LSTMCell.
        checkpoint_every: keep the gates of so many steps at most for the backward, which computes the others again:
            less memory for long sequences, for about a third more time. None keeps all. Options that are computed step
            by step keep all in any case.

    Parameters, gates stacked i, f, g, o along the first axis:
        weight_ih (4*hidden, in, k, k), glorot uniform; None if in_channels is 0
        weight_hh (4*hidden, hidden, r, r), orthogonal
        bias (4*hidden,), zero but for f; None without bias
        peephole_i, peephole_f, peephole_o (hidden, 1, 1) or (hidden, H, W); None if peephole is "none"
        norm_ih.weight, norm_ih.bias, norm_hh.weight, norm_hh.bias (4*hidden, H, W), one and zero; with `layer_norm`
            only, and norm_ih only with an input

    Raises UsageError (a ValueError), which names the argument, for values that make no layer.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | Sequence[int] = 3,
        recurrent_kernel_size: int | Sequence[int] | None = None,
        *,
        peephole: Peephole = "channel",
        image_size: Sequence[int] | None = None,
        batch_first: bool = True,
        dimensions: int = 2,
        bias: bool = True,
        padding: Padding = "same",
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        layer_norm: bool = False,
        return_sequences: bool = True,
        return_state: bool = True,
        go_backwards: bool = False,
        data_format: DataFormat = "channels_first",
        forget_bias: float = 1.0,
        activation: Activation = "tanh",
        gate_activation: Activation = "sigmoid",
        peephole_init: PeepholeInit = "zeros",
        detach_peepholes: bool = False,
        cell_clip: float | None = None,
        checkpoint_every: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        self.batch_first, self.data_format = batch_first, data_format
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.zoneout = (zoneout, zoneout) if isinstance(zoneout, int | float) else zoneout
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.forget_bias, self.cell_clip, self.checkpoint_every = forget_bias, cell_clip, checkpoint_every
        self.activation, self.gate_activation = activation, gate_activation
        self.peephole, self.peephole_init, self.detach_peepholes = peephole, peephole_init, detach_peepholes
        self.layer_norm = layer_norm
        self._set_sides(dimensions, kernel_size, recurrent_kernel_size, stride, dilation)
        self.padding = read_padding(padding, dimensions)
        self._check_options()
        fixes_size = PEEPHOLES[peephole].fixes_size or layer_norm
        self.image_size = self._checked_size(image_size) if fixes_size else None
        self.rules = self._rules()
        self.layout = Layout(dimensions, batch_first, data_format == "channels_last", stacked=False)
        self._make_parameters(bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    bias: nn.Parameter | None
    peephole_i: nn.Parameter | None
    peephole_f: nn.Parameter | None
    peephole_o: nn.Parameter | None

    def _set_sides(
        self,
        dimensions: int,
        kernel_size: int | Sequence[int],
        recurrent_kernel_size: int | Sequence[int] | None,
        stride: int | Sequence[int],
        dilation: int | Sequence[int],
    ) -> None:
        if dimensions not in CONVOLUTIONS:
            raise UsageError(f"dimensions is {dimensions}; give 1, 2 or 3.")
        self.dimensions = dimensions
        self.kernel_size = per_dimension("kernel_size", kernel_size, dimensions)
        if recurrent_kernel_size is None:
            recurrent_kernel_size = self.kernel_size
        self.recurrent_kernel_size = per_dimension("recurrent_kernel_size", recurrent_kernel_size, dimensions)
        self.stride = per_dimension("stride", stride, dimensions)
        self.dilation = per_dimension("dilation", dilation, dimensions)

    def _check_options(self) -> None:
        check_choice("peephole", self.peephole, PEEPHOLES)
        check_choice("peephole_init", self.peephole_init, PeepholeInit)
        check_choice("data_format", self.data_format, DataFormat)
        check_activation("activation", self.activation)
        check_activation("gate_activation", self.gate_activation)
        counts = self.in_channels, self.hidden_channels
        if not all(isinstance(count, int) and count >= least for least, count in enumerate(counts)):
            raise UsageError(
                f"in_channels is {counts[0]} and hidden_channels {counts[1]}; give whole numbers >= 0 and >= 1."
            )
        if self.cell_clip is not None and self.cell_clip <= 0:
            raise UsageError(f"cell_clip is {self.cell_clip}; it must be positive, or None for no bound.")
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise UsageError(
                f"checkpoint_every is {self.checkpoint_every}; it must be at least 1 step, or None for all."
            )
        check_rate("dropout", self.dropout)
        check_rate("recurrent_dropout", self.recurrent_dropout)
        if len(self.zoneout) != 2:
            raise UsageError(f"zoneout is {self.zoneout}; give one rate, or one of h and one of c.")
        for rate in self.zoneout:
            check_rate("zoneout", rate)

    def _checked_size(self, image_size: Sequence[int] | None) -> tuple[int, ...]:
        if image_size is not None:
            return per_dimension("image_size", image_size, self.dimensions)
        if PEEPHOLES[self.peephole].fixes_size:
            raise UsageError(
                f"peephole={self.peephole!r} has one weight per position, so it needs image_size=(height, width); "
                "peephole='channel' works at any size."
            )
        raise UsageError("layer_norm has a scale per position, so it needs image_size=(height, width).")

    def _rules(self) -> CellRules:
        return CellRules(
            gate_activation=self.gate_activation,
            padding=self.input_convolution.named_padding(),
            cell_clip=self.cell_clip,
            detach_peepholes=self.detach_peepholes,
            peephole=self.peephole,
            activation=self.activation,
            stride=None if set(self.stride) == {1} else self.stride,
            dilation=None if set(self.dilation) == {1} else self.dilation,
            zoneout=self.zoneout,
        )

    def _make_parameters(self, bias: bool, like: dict[str, Any]) -> None:
        gates, hidden = 4 * self.hidden_channels, self.hidden_channels

        def empty(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape, **like))

        self.weight_ih = empty(gates, self.in_channels, *self.kernel_size) if self.in_channels else None
        self.weight_hh = empty(gates, hidden, *self.recurrent_kernel_size)
        self.register_parameter("bias", empty(gates) if bias else None)
        make_shape = PEEPHOLES[self.peephole].shape
        for name in PEEPHOLE_NAMES:
            shape = make_shape and make_shape(hidden, self.image_size or (1,) * self.dimensions)
            self.register_parameter(name, None if shape is None else empty(*shape))
        self.norm_ih: nn.LayerNorm | None = None
        self.norm_hh: nn.LayerNorm | None = None
        if self.layer_norm:
            assert self.image_size is not None
            self.norm_ih = nn.LayerNorm([gates, *self.image_size], **like) if self.in_channels else None
            self.norm_hh = nn.LayerNorm([gates, *self.image_size], **like)

    def reset_parameters(self) -> None:
        """Draws initial values: those of Keras' ConvLSTM2D, with `forget_bias` and `peephole_init`."""
        if self.weight_hh.is_meta:  # has no values, and torch imports sympy to draw them
            return
        if self.weight_ih is not None:
            nn.init.xavier_uniform_(self.weight_ih)
        # In float32 at least, because torch has no QR decomposition of shorter types.
        wide = torch.promote_types(self.weight_hh.dtype, torch.float32)
        with torch.no_grad():
            self.weight_hh.copy_(_orthogonal(torch.empty_like(self.weight_hh, dtype=wide)))
        if self.bias is not None:
            nn.init.zeros_(self.bias)
            with torch.no_grad():
                self.bias[self.hidden_channels : 2 * self.hidden_channels] = self.forget_bias
        for norm in (self.norm_ih, self.norm_hh):
            if norm is not None:
                norm.reset_parameters()
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

    # torch.jit.trace would compile them, and cannot.
    __jit_unused_properties__ = ("weights", "input_convolution")

    @property
    def weights(self) -> CellWeights:
        """The parameters in the form of the equations in `nn/cell.py`."""
        peepholes = norms = None
        i, f, o = self.peephole_i, self.peephole_f, self.peephole_o  # once, because a module looks long for each
        if i is not None and f is not None and o is not None:
            peepholes = Peepholes(i, f, o)
        if self.norm_hh is not None:
            ih = None if self.norm_ih is None else Norm(self.norm_ih.weight, self.norm_ih.bias)
            norms = Norms(ih, Norm(self.norm_hh.weight, self.norm_hh.bias))
        return CellWeights(self.weight_ih, self.weight_hh, self.bias, peepholes, norms)

    def forward(
        self,
        x: Tensor | PackedSequence | None,
        state: PartialState | None = None,
        *,
        steps: int | None = None,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        dropout_masks: DropoutMasks | None = None,
    ) -> Result:
        """Runs the cell over a sequence.

        Args:
            x: (B, T, in, H, W), without its B axis one sequence, or a PackedSequence of such frames; None for a layer
                without input. `batch_first` and `data_format` order the axes otherwise.
            state: (h_0, c_0), each (B, hidden, H, W), as a call returned it; None, for both or for one of them, starts
                from zeros. Two calls, the second with the state of the first, compute the same as one long call; the
                layer keeps no state.
            steps: number of time steps; only where x is None.
            lengths: (B,) integers: the steps of each item, the rest is padding. Outputs there are zero, and h_T and c_T
                are those at an item's own end, as of a PackedSequence in torch.nn.LSTM.
            mask: (B, T) bool, false where a step is left out, as in Keras: states are carried over it, the output is
                that of the step before, and zero before the first step that is seen.
            dropout_masks: what `draw_dropout` returned, to drop the same in several calls; it acts in evaluation mode
                too. None draws new ones in training mode.

        Returns:
            h_1 ... h_T as (B, T, hidden, H, W), or a PackedSequence of them, and the last (h_T, c_T). See
            `return_sequences` and `return_state`.

        Raises:
            UsageError: shapes or types that do not fit this layer; the message names the expected ones.
        """
        call = self.layout.read(x, state, lengths, mask)
        steps = count_steps(self, call, steps)
        shape = state_shape(self, call.x, call.state)
        h_0, c_0 = call.state or (None, None)
        check_type("x", call.x, self.weight_hh)
        check_type("h_0", h_0, self.weight_hh)
        check_type("c_0", c_0, self.weight_hh)
        frames, lengths, mask = call.x, call.lengths, call.mask
        if lengths is not None:
            lengths = read_lengths(lengths, shape[0], steps)
        if mask is not None:
            check_mask(mask, shape[0], steps)
        if self.go_backwards:
            frames = None if frames is None else reverse(frames, lengths)
            mask = None if mask is None else reverse(mask, lengths)
        masks = self._masks(frames, shape, dropout_masks)
        outputs, last = self._unrolled(frames, _whole_state(call.state), steps, shape, lengths, mask, masks)
        outputs = _shown(outputs, last[0], lengths, mask, whole=self.return_sequences)
        written = call.write_outputs(outputs, whole=self.return_sequences)
        return (written, call.write_state(last)) if self.return_state else written

    def draw_dropout(self, x: Tensor) -> DropoutMasks:
        """New masks for an x as `forward` takes it; see `dropout_masks` there."""
        call = self.layout.read(x, None, None, None)
        count_steps(self, call, None)
        return self._drawn(call.x, state_shape(self, call.x, None))

    def flatten_parameters(self) -> None:
        """Nothing: there for code that was written for torch.nn.LSTM."""

    @property
    def input_convolution(self) -> ConvolutionShape:
        """What decides the size of the states for that of x."""
        return ConvolutionShape(self.padding, self.kernel_size, self.stride, self.dilation)

    def state_size(self, *size: int) -> tuple[int, ...]:
        """Height and width of the states for an input of this size."""
        return self.input_convolution.output_size(size)

    def _drawn(self, x: Tensor | None, shape: tuple[int, ...]) -> DropoutMasks:
        like = self.weight_hh if x is None else x
        from_x = None if x is None else draw(self.dropout, like, (x.shape[0], *x.shape[2:]))
        return DropoutMasks(from_x, draw(self.recurrent_dropout, like, shape))

    def _masks(self, x: Tensor | None, shape: tuple[int, ...], given: DropoutMasks | None) -> SequenceMasks:
        """What is dropped, and whether zoneout draws."""
        drops = self.training and bool(self.dropout or self.recurrent_dropout)
        zones = self.training and any(self.zoneout)
        if given is None and not (drops or zones):
            return NO_MASKS
        if given is not None:
            check_dropout_masks(given, x, shape)
            return SequenceMasks(*given, draws_zoneout=zones)
        return SequenceMasks(*self._drawn(x, shape), draws_zoneout=zones)

    def _unrolled(
        self,
        x: Tensor | None,
        state: State | None,
        steps: int,
        shape: tuple[int, ...],
        lengths: Tensor | None,
        mask: Tensor | None,
        masks: SequenceMasks,
    ) -> tuple[Tensor, State]:
        """The cell over the sequence, whose masked steps repeat h."""
        rest: dict[str, Any] = {"shape": shape, "checkpoint_every": self.checkpoint_every}
        if lengths is not None and mask is None and masks is NO_MASKS and x is not None and has_values(lengths):
            return unroll_padded(x, state, lengths, self.weights, self.rules, **rest)
        valid = mask
        if lengths is not None:
            valid = within(lengths, steps, self.weight_hh.device)
            valid = valid if mask is None else valid & mask
        if valid is not None:
            masks = masks._replace(valid=valid)
            x = x if x is None else _where(valid, x)  # padding may be NaN
        return unroll(x, state, self.weights, self.rules, steps=steps, masks=masks, **rest)

    def __prepare_scriptable__(self) -> nn.Module:
        """What torch.jit.script compiles in place of this layer."""
        return ScriptedConvLSTM(self)

    def extra_repr(self) -> str:
        shown = [str(self.in_channels), str(self.hidden_channels), f"kernel_size={self.kernel_size}"]
        if self.recurrent_kernel_size != self.kernel_size:
            shown.append(f"recurrent_kernel_size={self.recurrent_kernel_size}")
        if self.bias is None:
            shown.append("bias=False")
        for name, parameter in inspect.signature(ConvLSTM).parameters.items():
            if parameter.kind != parameter.KEYWORD_ONLY or name in ("bias", "device", "dtype"):
                continue
            value = getattr(self, name)
            if value != parameter.default and value != (parameter.default,) * max(self.dimensions, 2):
                shown.append(f"{name}={getattr(value, '__name__', repr(value))}")
        return ", ".join(shown)


def _orthogonal(weight: Tensor) -> Tensor:
    """The weight, filled by `nn.init.orthogonal_`.

    On one thread: several of MKL's wait for each other at every column of such matrices. That takes twice as long, and
    hundreds of times as long where something else uses the cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return nn.init.orthogonal_(weight)
    finally:
        torch.set_num_threads(threads)


def _whole_state(state: PartialState | None) -> State | None:
    """The state with zeros for the part that is not given."""
    h, c = (None, None) if state is None else state
    if h is None:
        return None if c is None else (torch.zeros_like(c), c)
    return h, torch.zeros_like(h) if c is None else c


def _shown(outputs: Tensor, h: Tensor, lengths: Tensor | None, mask: Tensor | None, *, whole: bool) -> Tensor:
    """Outputs (B, T, hidden, H, W) with zeros where there are none, or without `whole` the last ones."""
    if not whole:
        return h if mask is None else _where(mask.any(dim=1), h)
    if mask is not None:
        outputs = _where(mask.cumsum(dim=1) > 0, outputs)
    return outputs if lengths is None else _where(within(lengths, outputs.shape[1], outputs.device), outputs)


def _where(there: Tensor, values: Tensor) -> Tensor:
    """The values, and zero where not `there`, whose axes are their first ones."""
    return values.masked_fill(~there.view(*there.shape, *(1,) * (values.ndim - there.ndim)), 0.0)
