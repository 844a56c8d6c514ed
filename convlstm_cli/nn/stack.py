"""`ConvLSTMStack`: ConvLSTM layers on top of each other, in one or both directions, stacked as in torch.nn.LSTM."""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.dropout import check_rate
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.sequences import DataFormat, Layout, PartialState, reverse
from convlstm_cli.nn.stepwise import State
from convlstm_cli.settings import check_choice


class ConvLSTMStack(nn.Module):
    """`num_layers` ConvLSTM layers, each of which reads the outputs of the one before; torch.nn.LSTM with frames.

    Args:
        in_channels: channels of x.
        hidden_channels: channels of h and c in every layer and direction.
        kernel_size: as in `ConvLSTM`.
        num_layers: at least 1.
        bidirectional: each layer also reads its input from the end, with weights of its own, and puts out both
            directions' hidden states one after the other: 2*hidden_channels.
        dropout: rate between layers, in training mode: each value of each step by itself, but for the outputs of the
            last layer, as in torch.nn.LSTM. Keras' dropout with one mask for all steps is `input_dropout`.
        input_dropout: the `dropout` of every `ConvLSTM`.
        batch_first, data_format: the order of axes, as in `ConvLSTM`.
        options: every other option of `ConvLSTM`, the same for all layers. `go_backwards`, `return_sequences` and
            `return_state` are options of single layers.

    Modules: `layers`, and with `bidirectional` as many `reverse_layers`.

    Raises UsageError (a ValueError), which names the argument, for values that make no stack. With several layers or
    directions states are stacked, so all must have the size of the input.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | Sequence[int] = 3,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        batch_first: bool = True,
        data_format: DataFormat = "channels_first",
        **options: Any,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise UsageError(f"num_layers is {num_layers}; give at least 1.")
        if in_channels < 1:
            raise UsageError(f"in_channels is {in_channels}; a stack reads at least 1 channel.")
        check_rate("dropout", dropout)
        check_choice("data_format", data_format, DataFormat)
        for option in ("go_backwards", "return_sequences", "return_state"):
            if option in options:
                raise UsageError(f"{option} is an option of one ConvLSTM, and not of a stack.")
        self.in_channels, self.hidden_channels, self.num_layers = in_channels, hidden_channels, num_layers
        self.bidirectional, self.dropout, self.input_dropout = bidirectional, dropout, input_dropout
        self.batch_first, self.data_format = batch_first, data_format

        def make() -> nn.ModuleList:
            fan_in = [in_channels] + [hidden_channels * (2 if bidirectional else 1)] * (num_layers - 1)
            layers = [
                ConvLSTM(channels, hidden_channels, kernel_size, dropout=input_dropout, **options)
                for channels in fan_in
            ]
            return nn.ModuleList(layers)

        self.layers = make()
        self.reverse_layers = make() if bidirectional else None
        self.layout = Layout(self._first.dimensions, batch_first, data_format == "channels_last", stacked=True)

    @property
    def _first(self) -> ConvLSTM:
        return cast(ConvLSTM, self.layers[0])

    def reset_parameters(self) -> None:
        """Draws initial values of all layers."""
        for layer in (*self.layers, *(self.reverse_layers or ())):
            cast(ConvLSTM, layer).reset_parameters()

    def flatten_parameters(self) -> None:
        """Nothing: there for code that was written for torch.nn.LSTM."""

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: PartialState | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, State]:
        """Runs all layers over a sequence.

        Args:
            x, lengths, mask: as `ConvLSTM.forward` takes them.
            state: (h_0, c_0), each (layers * directions, B, hidden, H, W), first the first layer's forward direction,
                then its reverse one, then the second layer's; None, for both or for one of them, starts from zeros.

        Returns:
            The last layer's hidden states (B, T, directions * hidden, H, W), or a PackedSequence of them, and the last
            (h, c) in the order of `state`. Those of a reverse direction have read the whole sequence.

        Raises:
            UsageError: shapes that do not fit; the message names the expected ones.
        """
        call = self.layout.read(x, state, lengths, mask)
        if call.x is None:
            raise UsageError("x is None; a stack reads an input.")
        states = self._split(call.state)
        outputs, last = call.x, []
        for index in range(self.num_layers):
            if index and self.dropout:
                outputs = F.dropout(outputs, self.dropout, self.training)
            outputs, new = self._layer(index, outputs, states, call.lengths, call.mask)
            last += new
        h, c = (self._stacked([each[part] for each in last]) for part in (0, 1))
        return call.write_outputs(outputs, whole=True), call.write_state((h, c))

    def _layer(
        self, index: int, x: Tensor, states: list[PartialState], lengths: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, list[State]]:
        """The outputs (B, T, directions * hidden, H, W) of one layer, and its last state in each direction."""
        if self.reverse_layers is None:
            outputs, last = self.layers[index](x, states[index], lengths=lengths, mask=mask)
            return outputs, [last]
        there, last = self.layers[index](x, states[2 * index], lengths=lengths, mask=mask)
        turned = None if mask is None else reverse(mask, lengths)
        back, first = self.reverse_layers[index](
            reverse(x, lengths), states[2 * index + 1], lengths=lengths, mask=turned
        )
        return torch.cat([there, reverse(back, lengths)], dim=2), [last, first]

    def _split(self, state: PartialState | None) -> list[PartialState]:
        """The state of each layer and direction."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        parts: list[Sequence[Tensor | None]] = []
        for name, part in zip(("h_0", "c_0"), state or (None, None), strict=True):
            if part is not None and part.shape[0] != count:
                raise UsageError(
                    f"{name} has {part.shape[0]} states along its first axis; expected {count}, one for each of "
                    f"{self.num_layers} layers and each direction."
                )
            parts.append([None] * count if part is None else part.unbind(0))
        return list(zip(*parts, strict=True))

    def _stacked(self, parts: list[Tensor]) -> Tensor:
        if any(part.shape != parts[0].shape for part in parts):
            raise UsageError(
                "the states of the layers differ in size, because stride or padding changes it; "
                "chain single ConvLSTM layers instead."
            )
        return torch.stack(parts)

    def extra_repr(self) -> str:
        shown = [str(self.in_channels), str(self.hidden_channels), f"num_layers={self.num_layers}"]
        defaults = {
            "bidirectional": False,
            "dropout": 0.0,
            "input_dropout": 0.0,
            "batch_first": True,
            "data_format": "channels_first",
        }
        shown += [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join(shown)
