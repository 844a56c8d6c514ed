"""The gate arithmetic on an NVIDIA GPU: `TritonGates`, two kernels, each one pass over memory.

Tests compare them with the equations in `nn/cell.py`. A program of a kernel owns a tile of channels by positions and
goes over some items of the batch. Each program writes the sums of its gradients into memory of its own, so the result
is the same every time.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator, import-untyped, import-not-found, no-any-return"
# Triton has no types, is not there on every system, and compiles functions whose arguments are pointers and numbers.

import torch
import triton
import triton.language as tl
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, Peepholes
from convlstm_cli.nn.gates.protocol import (
    KERNEL_PEEPHOLES,
    NO_PEEPHOLE,
    Sums,
    in_memory_order,
    kernel_peephole,
    kernel_slope,
)

TILE = 512
"""Values of a state in a tile: four for each thread of four warps, which is 16 bytes of float32. On an H200 twice as
many take 3 to 9 % longer, and four times as many two fifths longer."""
PROGRAMS = 8192
"""The batch is divided until there are so many programs; fewer leave a GPU idle at the end of a launch."""

NONE = tl.constexpr(NO_PEEPHOLE)
PER_CHANNEL = tl.constexpr(KERNEL_PEEPHOLES["channel"])
FULL = tl.constexpr(KERNEL_PEEPHOLES["full"])


class TritonGates:
    """The gate arithmetic in Triton kernels; gates are float32, bfloat16 or float16, and cell states float32."""

    fuses = True

    def __init__(
        self, peepholes: Peepholes | None, rules: CellRules, dtype: torch.dtype, c: Tensor, *, channels_last: bool
    ) -> None:
        assert dtype in (torch.float32, torch.bfloat16, torch.float16)
        assert c.dtype == torch.float32
        batch, hidden, height, width = c.shape
        self._size = hidden, height, width
        self._last = channels_last
        kind = kernel_peephole(peepholes, rules)
        self._full = full = kind == KERNEL_PEEPHOLES["full"]
        channels, positions = tile(hidden, height * width, channels_last=channels_last)
        tiles = triton.cdiv(height * width, positions), triton.cdiv(hidden, channels)
        items = triton.cdiv(batch, min(batch, triton.cdiv(PROGRAMS, tiles[0] * tiles[1])))
        self._grid = *tiles, triton.cdiv(batch, items)
        self._numbers = batch, items, hidden, height * width, float(rules.cell_clip or 0.0)
        self._case = {
            "LAST": channels_last,
            "PEEPHOLE": kind,
            "SLOPE": kernel_slope(rules),
            "CLIPPED": rules.cell_clip is not None,
            "CHANNELS": channels,
            "POSITIONS": positions,
            # No more threads than values: of two threads with the same value, one could read what the other wrote.
            "num_warps": min(max(channels * positions // 128, 1), 8),
        }
        self._through = peepholes is not None and not rules.detach_peepholes
        self._weights = self._grads = None
        if peepholes is not None:
            self._weights = torch.stack(
                [in_memory_order(p.float(), channels_last=channels_last).flatten() for p in peepholes]
            )
            rows = self._grid[2] if full else self._grid[0] * self._grid[2]
            self._grads = c.new_zeros(rows, *self._weights.shape)
        self._bias = c.new_zeros(self._grid[0] * self._grid[2], 4 * hidden)

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
        tensors = gates, more, bias, c_before, c, c_kept, h, self._weights
        given = {"ADDS": more is not None, "BIASED": bias is not None, "KEEP_C": c_kept is not None}
        case = {"KEEP": keep, **given, **self._case}
        with torch.cuda.device(c.get_device()):  # Triton launches on the current one, wherever the tensors are
            _forward[self._grid](*tensors, *self._numbers, **case)

    def backward(
        self, gates: Tensor, c_before: Tensor, c: Tensor, grad_h: tuple[Tensor, Tensor], grad_c: Tensor, out: Tensor
    ) -> None:
        tensors = gates, c_before, c, *grad_h, grad_c, out, self._weights, self._bias, self._grads
        with torch.cuda.device(c.get_device()):
            _backward[self._grid](*tensors, *self._numbers, THROUGH=self._through, **self._case)

    def sums(self) -> Sums:
        bias = self._bias.sum(dim=0)
        if self._grads is None:
            return Sums(bias, None)
        grads = self._grads.sum(dim=0)  # (3, hidden), or (3, values of a state) in the order of memory
        if not self._full:
            return Sums(bias, Peepholes(*grads[:, :, None, None]))
        hidden, height, width = self._size
        if self._last:
            return Sums(bias, Peepholes(*grads.view(3, height, width, hidden).permute(0, 3, 1, 2)))
        return Sums(bias, Peepholes(*grads.view(3, hidden, height, width)))


def tile(hidden: int, positions: int, *, channels_last: bool) -> tuple[int, int]:
    """Channels and positions of a tile: powers of two, and long in the direction of memory."""
    near, far = (hidden, positions) if channels_last else (positions, hidden)
    # The longest of which at most a fifth lies outside; 16 values of two bytes are the least that a GPU reads.
    length = next((n for n in (128, 64, 32) if 4 * n * triton.cdiv(near, n) <= 5 * near), 16)
    length = min(length, triton.next_power_of_2(near))
    other = min(TILE // length, triton.next_power_of_2(far))
    return (length, other) if channels_last else (other, length)


@triton.jit
def _tanh(x):
    # Near zero a polynomial (of Cephes) avoids the cancellation, and no exponential overflows.
    size, square = tl.abs(x), x * x
    p = -5.70498872745e-3 * square + 2.06390887954e-2
    p = p * square - 5.37397155531e-2
    p = p * square + 1.33314422036e-1
    p = p * square - 3.33332819422e-1
    near = p * square * x + x
    e = tl.exp(-2.0 * size)
    far = (1.0 - e) / (1.0 + e)
    return tl.where(size < 0.625, near, tl.where(x < 0.0, -far, far))


@triton.jit
def _sigma(x, SLOPE: tl.constexpr):
    if SLOPE == 0.0:
        e = tl.exp(-tl.abs(x))
        s = tl.where(x < 0.0, e, 1.0) / (1.0 + e)
    else:
        s = SLOPE * x + 0.5
        s = tl.where(s < 0.0, 0.0, s)  # NaN stays, which minimum and maximum would lose
        s = tl.where(s > 1.0, 1.0, s)
    return s


@triton.jit
def _sigma_slope(s, SLOPE: tl.constexpr):
    """The derivative, from the activated value."""
    if SLOPE == 0.0:  # noqa: SIM108  a conditional expression would compile both
        slope = s * (1.0 - s)
    else:
        slope = tl.where((s > 0.0) & (s < 1.0), SLOPE, 0.0)
    return slope


@triton.jit
def _own(hidden, positions, LAST: tl.constexpr, CHANNELS: tl.constexpr, POSITIONS: tl.constexpr):
    """The tile of this program in one item: its channels, a mask of values that exist, and offsets in states and gates.

    An offset is one number of 64 bits for the tile plus one of 32 bits for each value.
    """
    first_channel = tl.program_id(1).to(tl.int64) * CHANNELS
    first_position = tl.program_id(0).to(tl.int64) * POSITIONS
    channel = tl.arange(0, CHANNELS)[:, None]
    position = tl.arange(0, POSITIONS)[None, :]
    inside = (first_channel + channel < hidden) & (first_position + position < positions)
    if LAST:
        state = first_position * hidden + first_channel
        in_state = position * hidden + channel
        gate = first_position * hidden * 4 + first_channel
        in_gate = position * hidden * 4 + channel
    else:
        state = first_channel * positions + first_position
        in_state = channel * positions + position
        gate = state
        in_gate = in_state
    return first_channel, channel, inside, state, in_state, gate, in_gate


@triton.jit
def _load(pointer, inside):
    return tl.load(pointer, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _store(pointer, value, inside):
    tl.store(pointer, value.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def _add(pointer, value, inside):
    tl.store(pointer, tl.load(pointer, mask=inside, other=0.0) + value, mask=inside)


@triton.jit
def _load_peepholes(pointer, apart, inside):
    return _load(pointer, inside), _load(pointer + apart, inside), _load(pointer + 2 * apart, inside)


@triton.jit
def _add_peepholes(pointer, apart, i_sum, f_sum, o_sum, inside):
    _add(pointer, i_sum, inside)
    _add(pointer + apart, f_sum, inside)
    _add(pointer + 2 * apart, o_sum, inside)


@triton.jit(do_not_specialize=("batch", "items"))
def _forward(
    gates,
    more,
    bias,
    c_before,
    c,
    c_kept,
    h,
    weights,
    batch,
    items,
    hidden,
    positions,
    clip,
    LAST: tl.constexpr,
    PEEPHOLE: tl.constexpr,
    SLOPE: tl.constexpr,
    CLIPPED: tl.constexpr,
    KEEP: tl.constexpr,
    ADDS: tl.constexpr,
    BIASED: tl.constexpr,
    KEEP_C: tl.constexpr,
    CHANNELS: tl.constexpr,
    POSITIONS: tl.constexpr,
):
    first_channel, channel, inside, state, in_state, gate, in_gate = _own(hidden, positions, LAST, CHANNELS, POSITIONS)
    values = tl.cast(hidden, tl.int64) * positions
    apart = hidden if LAST else values
    if PEEPHOLE != NONE:
        weight = (weights + first_channel + channel) if PEEPHOLE == PER_CHANNEL else (weights + state + in_state)
        i_weight, f_weight, o_weight = _load_peepholes(weight, hidden if PEEPHOLE == PER_CHANNEL else values, inside)
    if BIASED:
        exists = first_channel + channel < hidden
        i_bias = _load(bias + first_channel + channel, exists)
        f_bias = _load(bias + hidden + first_channel + channel, exists)
        g_bias = _load(bias + 2 * hidden + first_channel + channel, exists)
        o_bias = _load(bias + 3 * hidden + first_channel + channel, exists)
    first = tl.program_id(2).to(tl.int64) * items
    for item in range(first, tl.minimum(first + items, batch)):
        at = item * values + state
        i_gate = gates + (4 * item * values + gate) + in_gate
        f_gate = i_gate + apart
        g_gate = f_gate + apart
        o_gate = g_gate + apart
        old = _load(c_before + at + in_state, inside)
        i = _load(i_gate, inside)
        f = _load(f_gate, inside)
        g = _load(g_gate, inside)
        o = _load(o_gate, inside)
        if ADDS:
            added = more + (4 * item * values + gate) + in_gate
            i += _load(added, inside)
            f += _load(added + apart, inside)
            g += _load(added + 2 * apart, inside)
            o += _load(added + 3 * apart, inside)
        if BIASED:
            i += i_bias
            f += f_bias
            g += g_bias
            o += o_bias
        if PEEPHOLE != NONE:
            i += i_weight * old
            f += f_weight * old
        i = _sigma(i, SLOPE)
        f = _sigma(f, SLOPE)
        g = _tanh(g)
        new = f * old + i * g
        if CLIPPED:
            new = tl.where(new > clip, clip, new)
            new = tl.where(new < -clip, -clip, new)
        if PEEPHOLE != NONE:
            o += o_weight * new
        o = _sigma(o, SLOPE)
        _store(c + at + in_state, new, inside)
        if KEEP_C:
            _store(c_kept + at + in_state, new, inside)
        _store(h + at + in_state, o * _tanh(new), inside)
        if KEEP:
            _store(i_gate, i, inside)
            _store(f_gate, f, inside)
            _store(g_gate, g, inside)
            _store(o_gate, o, inside)


@triton.jit(do_not_specialize=("batch", "items"))
def _backward(
    gates,
    c_before,
    c,
    grad_h,
    more_grad_h,
    grad_c,
    out,
    weights,
    bias_sums,
    weight_sums,
    batch,
    items,
    hidden,
    positions,
    clip,
    LAST: tl.constexpr,
    PEEPHOLE: tl.constexpr,
    SLOPE: tl.constexpr,
    CLIPPED: tl.constexpr,
    THROUGH: tl.constexpr,
    CHANNELS: tl.constexpr,
    POSITIONS: tl.constexpr,
):
    first_channel, channel, inside, state, in_state, gate, in_gate = _own(hidden, positions, LAST, CHANNELS, POSITIONS)
    values = tl.cast(hidden, tl.int64) * positions
    apart = hidden if LAST else values
    if THROUGH:
        weight = (weights + first_channel + channel) if PEEPHOLE == PER_CHANNEL else (weights + state + in_state)
        i_weight, f_weight, o_weight = _load_peepholes(weight, hidden if PEEPHOLE == PER_CHANNEL else values, inside)
    i_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
    f_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
    g_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
    o_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
    if PEEPHOLE != NONE:
        i_weight_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
        f_weight_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
        o_weight_sum = tl.zeros((CHANNELS, POSITIONS), tl.float32)
    first = tl.program_id(2).to(tl.int64) * items
    for item in range(first, tl.minimum(first + items, batch)):
        at = item * values + state
        i_gate = gates + (4 * item * values + gate) + in_gate
        to_i = out + (4 * item * values + gate) + in_gate
        i = _load(i_gate, inside)
        f = _load(i_gate + apart, inside)
        g = _load(i_gate + 2 * apart, inside)
        o = _load(i_gate + 3 * apart, inside)
        old = _load(c_before + at + in_state, inside)
        new = _load(c + at + in_state, inside)
        dh = _load(grad_h + at + in_state, inside) + _load(more_grad_h + at + in_state, inside)
        dc = _load(grad_c + at + in_state, inside)
        squashed = _tanh(new)
        do = dh * squashed * _sigma_slope(o, SLOPE)
        dc += dh * o * (1.0 - squashed * squashed)
        if THROUGH:
            dc += o_weight * do
        if CLIPPED:
            dc = tl.where(tl.abs(new) >= clip, 0.0, dc)
        di = dc * g * _sigma_slope(i, SLOPE)
        df = dc * old * _sigma_slope(f, SLOPE)
        dg = dc * i * (1.0 - g * g)
        dc *= f
        if THROUGH:
            dc += i_weight * di + f_weight * df
        _store(grad_c + at + in_state, dc, inside)
        _store(to_i, di, inside)
        _store(to_i + apart, df, inside)
        _store(to_i + 2 * apart, dg, inside)
        _store(to_i + 3 * apart, do, inside)
        i_sum += di
        f_sum += df
        g_sum += dg
        o_sum += do
        if PEEPHOLE != NONE:
            i_weight_sum += di * old
            f_weight_sum += df * old
            o_weight_sum += do * new

    channels = first_channel + tl.arange(0, CHANNELS)
    exists = channels < hidden
    row = tl.program_id(2).to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    own = bias_sums + row * 4 * hidden + channels
    _add(own, tl.sum(i_sum, axis=1), exists)
    _add(own + hidden, tl.sum(f_sum, axis=1), exists)
    _add(own + 2 * hidden, tl.sum(g_sum, axis=1), exists)
    _add(own + 3 * hidden, tl.sum(o_sum, axis=1), exists)
    if PEEPHOLE == PER_CHANNEL:
        own = weight_sums + row * 3 * hidden + channels
        i_weight_sum = tl.sum(i_weight_sum, axis=1)
        f_weight_sum = tl.sum(f_weight_sum, axis=1)
        o_weight_sum = tl.sum(o_weight_sum, axis=1)
        _add_peepholes(own, hidden, i_weight_sum, f_weight_sum, o_weight_sum, exists)
    if PEEPHOLE == FULL:
        own = weight_sums + (tl.program_id(2) * 3 * values + state) + in_state
        _add_peepholes(own, values, i_weight_sum, f_weight_sum, o_weight_sum, inside)
