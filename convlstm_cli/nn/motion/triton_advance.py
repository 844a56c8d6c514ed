"""Frames moved on along their motions on an NVIDIA GPU: a kernel for all steps, and three launches a step for splats.

The arithmetic is that of `eager.py`. What lands at a place is summed in whole numbers, whose order does not count, so
that the result is the same every time.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator, import-untyped, import-not-found, no-any-return"
# Triton has no types, is not there on every system, and compiles functions whose arguments are pointers and numbers.

import torch
import triton
import triton.language as tl
from torch import Tensor

from convlstm_cli.nn.motion.eager import AROUND, EXACT, FILLED
from convlstm_cli.nn.motion.triton_reading import TILE, bilinear, cubic, kernel, own, programs, within

PARTS = tl.constexpr(EXACT)


def advance(
    frame: Tensor,
    motion: Tensor,
    source: Tensor,
    steps: int,
    *,
    beside: Tensor | None = None,
    corner: tuple[int, int] = (0, 0),
    is_cubic: bool = True,
    unseen: int = 0,
    lead: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """As `eager.advance`."""
    batch, channels, *size = frame.shape
    count, window = motion.shape[1] // 2, source.shape[-2:]
    fields = 0 if beside is None else beside.shape[1]
    frame, motion, source = frame.contiguous(), motion.contiguous(), source.contiguous()
    shown = count if lead is None else 2 * count
    seen = frame.new_empty(batch, steps, shown, channels, *window)
    carried = frame.new_empty(batch, steps, fields, *window)
    after = torch.empty_like(source)
    read = frame if beside is None else beside.contiguous()
    numbers = count, channels, fields, *size, *window, *corner, unseen, steps, shown
    each = programs(batch * count, *window)
    with torch.cuda.device(frame.get_device()):  # Triton launches on the current one, wherever the tensors are
        _move[each](frame, motion, source, read, after, seen, carried, *numbers, CUBIC=is_cubic, TILE=TILE)
        if lead is not None:
            lead = lead.contiguous()
            sums = frame.new_empty(batch * count, channels + 1, window[0] + 2, window[1] + 2, dtype=torch.int64)
            pixels = programs(batch * count, *size)
            for step in range(steps):
                sums.zero_()
                ahead = float(unseen + step + 1)
                _land[pixels](frame, motion, lead, sums, count, channels, *size, *window, *corner, ahead, TILE=TILE)
                _show[each](sums, seen, step, steps, count, channels, *window, AROUND, FILLED, TILE=TILE)
    return seen, None if beside is None else carried, after


@kernel
def _move(
    frame,
    motion,
    source,
    beside,
    after,
    seen,
    carried,
    count,
    channels,
    fields,
    height,
    width,
    rows,
    columns,
    top,
    left,
    unseen,
    steps,
    shown,
    CUBIC: tl.constexpr,
    TILE: tl.constexpr,
):
    """Where the pixels of a window come from after each step, and what they show; `eager.advance` says the shapes."""
    image, pixel, exists, row, column = own(rows, columns, TILE)
    clip = image // count
    area, window = tl.cast(height, tl.int64) * width, tl.cast(rows, tl.int64) * columns
    by_x = motion + image * 2 * area
    by_y = by_x + area
    u = tl.load(source + image * 2 * window + pixel, mask=exists, other=0.0)
    v = tl.load(source + (image * 2 + 1) * window + pixel, mask=exists, other=0.0)
    row = (top + row).to(tl.float32)
    column = (left + column).to(tl.float32)
    carries = tl.where(image % count == 0, fields, 0)
    for step in range(0, unseen + steps):
        x, y = within(column + u, width), within(row + v, height)
        half_u = u - bilinear(by_x, height, width, x, y) / 2.0
        half_v = v - bilinear(by_y, height, width, x, y) / 2.0
        x, y = within(column + half_u, width), within(row + half_v, height)
        u -= bilinear(by_x, height, width, x, y)
        v -= bilinear(by_y, height, width, x, y)
        if step >= unseen:
            x, y = within(column + u, width), within(row + v, height)
            shows = clip * steps + (step - unseen)
            out = seen + (shows * shown + image % count) * channels * window + pixel
            plane = frame + clip * channels * area
            for _ in range(0, channels):
                if CUBIC:  # noqa: SIM108  a conditional expression would compile both
                    value = cubic(plane, height, width, x, y)
                else:
                    value = bilinear(plane, height, width, x, y)
                tl.store(out, value, mask=exists)
                out += window
                plane += area
            out = carried + shows * fields * window + pixel
            plane = beside + clip * fields * area
            for _ in range(0, carries):
                tl.store(out, bilinear(plane, height, width, x, y), mask=exists)
                out += window
                plane += area
    tl.store(after + image * 2 * window + pixel, u, mask=exists)
    tl.store(after + (image * 2 + 1) * window + pixel, v, mask=exists)


@kernel
def _land(
    frame,
    motion,
    lead,
    sums,
    count,
    channels,
    height,
    width,
    rows,
    columns,
    top,
    left,
    ahead,
    TILE: tl.constexpr,
):
    """Adds each pixel of the frames, and behind their channels its weight, to the four places around where it lands.

    `sums` is (clips * motions, channels + 1, rows + 2, columns + 2): with what lands around the window.
    """
    image, pixel, exists, row, column = own(height, width, TILE)
    clip = image // count
    area = tl.cast(height, tl.int64) * width
    rows, columns = tl.cast(rows, tl.int64) + 2, tl.cast(columns, tl.int64) + 2
    reach = tl.load(lead + clip) + ahead
    x = column.to(tl.float32) + reach * tl.load(motion + image * 2 * area + pixel, mask=exists, other=0.0)
    y = row.to(tl.float32) + reach * tl.load(motion + (image * 2 + 1) * area + pixel, mask=exists, other=0.0)
    x -= (left - 1).to(tl.float32)
    y -= (top - 1).to(tl.float32)
    before, above = tl.floor(x), tl.floor(y)
    across, down = x - before, y - above
    out = sums + image * (channels + 1) * rows * columns
    for channel in range(0, channels + 1):
        if channel < channels:
            value = tl.load(frame + (clip * channels + channel) * area + pixel, mask=exists, other=0.0)
        else:
            value = tl.full((TILE,), 1.0, tl.float32)
        _add(out, rows, columns, above, before, (1.0 - down) * (1.0 - across), value, exists)
        _add(out, rows, columns, above, before + 1.0, (1.0 - down) * across, value, exists)
        _add(out, rows, columns, above + 1.0, before, down * (1.0 - across), value, exists)
        _add(out, rows, columns, above + 1.0, before + 1.0, down * across, value, exists)
        out += rows * columns


@triton.jit
def _add(plane, rows, columns, row, column, weight, value, exists):
    # What is not finite lands nowhere, and a weight of 0 is not added.
    inside = exists & (row >= 0.0) & (row < rows.to(tl.float32)) & (column >= 0.0) & (column < columns.to(tl.float32))
    inside = inside & (weight > 0.0)
    place = tl.where(inside, row, 0.0).to(tl.int64) * columns + tl.where(inside, column, 0.0).to(tl.int64)
    parts = tl.floor(weight * value * PARTS + 0.5).to(tl.int64)
    tl.atomic_add(plane + place, parts, mask=inside, sem="relaxed")


@kernel
def _show(sums, seen, step, steps, count, channels, rows, columns, around, filled, TILE: tl.constexpr):
    """The mean of what landed at each place; where that is less than a pixel, with a little of what is around it."""
    image, pixel, exists, row, column = own(rows, columns, TILE)
    window, stride = tl.cast(rows, tl.int64) * columns, tl.cast(columns, tl.int64) + 2
    plane = (tl.cast(rows, tl.int64) + 2) * stride
    shows = (image // count * steps + step) * 2 * count + image % count
    fill = seen + shows * channels * window + pixel
    out = fill + count * channels * window
    at = sums + image * (channels + 1) * plane + row * stride + column
    landed, near = _sums(at + channels * plane, stride, exists)
    missing = tl.where(landed < 1.0, 1.0 - landed, 0.0)
    weight = landed + around * missing * near + filled * missing
    for _ in range(0, channels):
        landed, near = _sums(at, stride, exists)
        value = landed + around * missing * near + filled * missing * tl.load(fill, mask=exists, other=0.0)
        tl.store(out, value / weight, mask=exists)
        at += plane
        fill += window
        out += window


@triton.jit
def _sums(corner, stride, exists):
    """What landed at places, and at those and the eight around, whose first is the corner."""
    near = tl.load(corner, mask=exists, other=0)
    for place in tl.static_range(1, 9):
        near += tl.load(corner + place // 3 * stride + place % 3, mask=exists, other=0)
    return tl.load(corner + stride + 1, mask=exists, other=0).to(tl.float32) / PARTS, near.to(tl.float32) / PARTS
