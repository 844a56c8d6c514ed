"""The order of axes in what callers give and get, and sequences of unequal length.

`Layout.read` brings what a caller gives into one order, (B, T, channels, *size), and its `Call.write` brings results
back into the caller's. Shapes are written for two dimensions.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.stepwise import State

DataFormat = Literal["channels_first", "channels_last"]
PartialState = tuple[Tensor | None, Tensor | None]
"""(h_0, c_0) as a caller gives them; None stands for zeros."""
Result = tuple[Tensor | PackedSequence, State] | Tensor | PackedSequence


@dataclass(frozen=True)
class Layout:
    """The axes of a layer's inputs and outputs, as its caller orders them."""

    dimensions: int
    batch_first: bool
    """Sequences are (B, T, ...) or, as torch.nn.LSTM's default, (T, B, ...)."""
    channels_last: bool
    """Channels come after the spatial axes, in sequences and in states, as in Keras' default."""
    stacked: bool
    """States have a first axis for layers and directions, as torch.nn.LSTM's."""

    plain: bool = field(init=False)
    """Whether the axes are in the layer's own order."""

    def __post_init__(self) -> None:
        # Once, because every call asks; not as a cached property, whose lock in Python 3.11 torch.compile cannot enter.
        object.__setattr__(self, "plain", self.batch_first and not self.channels_last)

    def read(
        self, x: Tensor | PackedSequence | None, state: PartialState | None, lengths: Tensor | None, mask: Tensor | None
    ) -> "Call":
        """What a caller gives, with its axes in order."""
        if (
            state is None
            and lengths is None
            and mask is None
            and self.plain
            and isinstance(x, Tensor)
            and x.ndim == self.dimensions + 3
        ):
            return Call(self, x, None, None, None, True, None, tuple(x.shape))  # most calls, without delay
        packed = None
        if isinstance(x, PackedSequence):
            if lengths is not None or mask is not None:
                raise UsageError("lengths and mask go with padded sequences; a PackedSequence has lengths of its own.")
            packed = x
            x, lengths = pad_packed_sequence(x, batch_first=self.batch_first)
        given_shape = None if x is None else tuple((packed.data if packed is not None else x).shape)
        if state is not None and (isinstance(state, Tensor) or len(state) != 2):
            raise UsageError("state is not a pair; give (h_0, c_0), either of which may be None.")
        h, c = (None, None) if state is None else state
        for name, given in (("x", x), ("h_0", h), ("c_0", c)):
            if given is not None and not isinstance(given, Tensor):
                raise UsageError(f"{name} is a {type(given).__name__}; give a tensor.")
        batched = True
        if x is not None:
            batched = x.ndim != self.dimensions + 2
        elif h is not None:
            batched = h.ndim != self.dimensions + 1 + self.stacked
        h, c = self._read_state(h, batched), self._read_state(c, batched)
        if x is not None:
            x = self._read_sequence(x, batched)
        if mask is not None:
            mask = self._read_mask(mask, batched)
        if lengths is not None and not batched and lengths.ndim == 0:
            lengths = lengths[None]
        return Call(
            self, x, (h, c) if h is not None or c is not None else None, lengths, mask, batched, packed, given_shape
        )

    def shape(self, channels: int | str) -> str:
        """The expected shape of a sequence, for messages."""
        size = {1: "L", 2: "H, W", 3: "D, H, W"}[self.dimensions]
        frame = f"{size}, {channels}" if self.channels_last else f"{channels}, {size}"
        return f"({'B, T' if self.batch_first else 'T, B'}, {frame})"

    def _read_sequence(self, x: Tensor, batched: bool) -> Tensor:
        if self.channels_last and x.ndim >= self.dimensions + 2:
            x = x.movedim(-1, -1 - self.dimensions)
        if not batched:
            return x[None]
        return x if self.batch_first or x.ndim < 2 else x.transpose(0, 1)

    def _read_mask(self, mask: Tensor, batched: bool) -> Tensor:
        if not batched:
            return mask[None]
        return mask if self.batch_first or mask.ndim < 2 else mask.transpose(0, 1)

    def _read_state(self, part: Tensor | None, batched: bool) -> Tensor | None:
        if part is None:
            return None
        if self.channels_last and part.ndim > self.dimensions:
            part = part.movedim(-1, -1 - self.dimensions)
        return part if batched else part.unsqueeze(int(self.stacked))


class Call(NamedTuple):
    """One call of a layer, with the axes in the layer's order."""

    layout: Layout
    x: Tensor | None
    """(B, T, in, H, W)"""
    state: PartialState | None
    """Each (B, hidden, H, W), or (layers, B, hidden, H, W)."""
    lengths: Tensor | None
    """(B,)"""
    mask: Tensor | None
    """(B, T)"""
    batched: bool
    packed: PackedSequence | None
    given: tuple[int, ...] | None
    """The shape of x as the caller has it."""

    def write_outputs(self, outputs: Tensor, *, whole: bool) -> Tensor | PackedSequence:
        """Outputs (B, T, hidden, H, W), or (B, hidden, H, W) if not `whole`, in the order that the caller has."""
        if self.layout.plain and self.batched and self.packed is None:
            return outputs
        if self.packed is not None and whole:
            assert self.lengths is not None
            return _packed(outputs, self.lengths, self.packed)
        if not self.batched:
            outputs = outputs[0]
        elif whole and not self.layout.batch_first:
            outputs = outputs.transpose(0, 1)
        return outputs.movedim(-1 - self.layout.dimensions, -1) if self.layout.channels_last else outputs

    def write_state(self, state: State) -> State:
        """The state in the order that the caller has."""
        if self.layout.plain and self.batched:
            return state
        h, c = state
        if not self.batched:
            axis = int(self.layout.stacked)
            h, c = h.squeeze(axis), c.squeeze(axis)
        if self.layout.channels_last:
            h, c = (part.movedim(-1 - self.layout.dimensions, -1) for part in (h, c))
        return h, c


def _packed(outputs: Tensor, lengths: Tensor, like: PackedSequence) -> PackedSequence:
    """Outputs (B, T, hidden, H, W) in the order of the packed input."""
    if like.sorted_indices is not None:
        outputs = outputs.index_select(0, like.sorted_indices)
        lengths = lengths.index_select(0, like.sorted_indices.to(lengths.device))
    data = pack_padded_sequence(outputs, lengths.cpu(), batch_first=True).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)


def read_lengths(lengths: Tensor, batch: int, steps: int) -> Tensor:
    """Lengths (B,) as they are. Raises UsageError that names `lengths` where they do not fit."""
    if lengths.ndim != 1 or len(lengths) != batch or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise UsageError(
            f"lengths has shape {tuple(lengths.shape)} and type {lengths.dtype}; give {batch} integers, one an item."
        )
    if has_values(lengths):
        least, most = int(lengths.min()), int(lengths.max())
        if least < 1 or most > steps:
            raise UsageError(f"lengths goes from {least} to {most}; the sequences have 1 to {steps} time steps.")
    return lengths


def has_values(lengths: Tensor) -> bool:
    """Whether there are numbers to read: none where a program is recorded that has to hold for others, or by vmap."""
    return not (
        lengths.numel() == 0
        or lengths.device.type == "meta"
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        or torch._C._are_functorch_transforms_active()
    )


def within(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """(B, T) bool: true at the steps before each item's length."""
    return torch.arange(steps, device=device) < lengths.to(device)[:, None]


def reverse(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, T, ...) with its time reversed; with lengths, each item up to its own, and the padding stays behind."""
    if lengths is None:
        return sequence.flip(1)
    steps = torch.arange(sequence.shape[1], device=sequence.device)
    lengths = lengths.to(sequence.device)[:, None]
    order = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (B, T)
    return sequence.gather(1, order.view(*order.shape, *(1,) * (sequence.ndim - 2)).expand_as(sequence))
