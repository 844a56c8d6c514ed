"""The steps of a search for motion on an NVIDIA GPU: seven kernels a step, whatever the number of clips.

The arithmetic is that of `eager.py` and `guided.py`. Gaussians run along rows in a kernel of their own, and along
columns in the kernel that uses what they give. Two buffers of `SUMS` planes hold everything in between.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator, import-untyped, import-not-found, no-any-return"
# Triton has no types, is not there on every system, and compiles functions whose arguments are pointers and numbers.

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from convlstm_cli.nn.motion.eager import UNEXPLAINED
from convlstm_cli.nn.motion.gaussian import gaussian
from convlstm_cli.nn.motion.guided import CONTRAST, LEAST_TRUST, STRUCTURE
from convlstm_cli.nn.motion.searches import Search
from convlstm_cli.nn.motion.triton_reading import TILE, bilinear, kernel, own, programs, within

TERMS, SUMS = tl.constexpr(5), tl.constexpr(7)
"""Planes of the normal equations, and of the sums of the guided filter. The fit of that filter has `TERMS` planes."""
TRUST = tl.constexpr(5)
"""The plane behind the terms, which holds how much each pixel's motion counts."""


def improve(flow: Tensor, level: Tensor, search: Search) -> Tensor:
    """The motion (B, 2, h, w) on a level (B, T, h, w) after all steps of a search."""
    flow, level = flow.clone(memory_format=torch.contiguous_format), level.contiguous()
    clips, frames, *size = level.shape
    window, smoothing = _gaussian(search.window), _gaussian(search.smoothing)
    one, other = level.new_empty(2, clips, SUMS.value, *size)
    each, terms, sums = (programs(clips * count, *size) for count in (1, TERMS.value, SUMS.value))
    structure = STRUCTURE * search.damping
    with torch.cuda.device(level.get_device()):  # Triton launches on the current one, wherever the tensors are
        for _ in range(search.iterations):
            _find_terms[each](level, flow, one, frames, *size, UNEXPLAINED, LEAST_TRUST, structure, TILE=TILE)
            _blur_rows[terms](one, other, TERMS.value, *size, *window, TILE=TILE)
            _solve[each](other, level, flow, one, frames, *size, *window, search.damping, TILE=TILE)
            _blur_rows[sums](one, other, SUMS.value, *size, *smoothing, TILE=TILE)
            _fit[each](other, one, *size, *smoothing, CONTRAST, TILE=TILE)
            _blur_rows[terms](one, other, TERMS.value, *size, *smoothing, TILE=TILE)
            _follow[each](other, level, flow, frames, *size, *smoothing, TILE=TILE)
    return flow


def enlarge(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """As `eager.enlarge`."""
    flow = flow.contiguous()
    clips, _, height, width = flow.shape
    larger = flow.new_empty(clips, 2, *size)
    with torch.cuda.device(flow.get_device()):
        _enlarge[programs(2 * clips, *size)](flow, larger, height, width, *size, TILE=TILE)
    return larger


def _gaussian(sigma: float) -> tuple[int, float, float]:
    """The radius of a Gaussian, the logarithm of the weight in its middle, and what the squared distance counts."""
    weights = gaussian(sigma)
    radius = len(weights) // 2
    return radius, math.log(weights[radius]), -0.5 / sigma**2


@kernel
def _enlarge(flow, larger, height, width, rows, columns, TILE: tl.constexpr):
    """Twice the motion between the places of a smaller level, read at the places of a larger one."""
    image, pixel, exists, row, column = own(rows, columns, TILE)
    x = (column.to(tl.float32) + 0.5) * (width.to(tl.float32) / columns.to(tl.float32)) - 0.5
    y = (row.to(tl.float32) + 0.5) * (height.to(tl.float32) / rows.to(tl.float32)) - 0.5
    plane = flow + image * height * width
    value = 2.0 * bilinear(plane, height, width, within(x, width), within(y, height))
    tl.store(larger + image * rows * columns + pixel, value, mask=exists)


@kernel
def _find_terms(level, flow, terms, frames, height, width, unexplained, least_trust, structure, TILE: tl.constexpr):
    """The terms of the normal equations, and how much each pixel's motion counts.

    A derivative is the difference of the pixels on both sides, each of which is moved by its own motion.
    """
    clip, pixel, exists, row, column = own(height, width, TILE)
    area = height * width
    left, right = tl.maximum(column - 1, 0), tl.minimum(column + 1, width - 1)
    above, below = tl.maximum(row - 1, 0), tl.minimum(row + 1, height - 1)
    u = flow + clip * 2 * area
    v = u + area
    here_u, here_v = _displacement(u, v, row, column, width, exists)
    left_u, left_v = _displacement(u, v, row, left, width, exists)
    right_u, right_v = _displacement(u, v, row, right, width, exists)
    above_u, above_v = _displacement(u, v, above, column, width, exists)
    below_u, below_v = _displacement(u, v, below, column, width, exists)
    plane = level + clip * frames * area
    last = tl.load(plane + tl.cast(frames - 1, tl.int64) * area + pixel, mask=exists, other=0.0)
    xx = tl.zeros((TILE,), tl.float32)
    xy = tl.zeros((TILE,), tl.float32)
    yy = tl.zeros((TILE,), tl.float32)
    xt = tl.zeros((TILE,), tl.float32)
    yt = tl.zeros((TILE,), tl.float32)
    for frame in range(0, frames - 1):
        steps = (frames - 1 - frame).to(tl.float32)
        here = _moved(plane, height, width, row, column, here_u, here_v, steps)
        dx = _moved(plane, height, width, row, right, right_u, right_v, steps)
        dx = steps * (dx - _moved(plane, height, width, row, left, left_u, left_v, steps)) / 2.0
        dy = _moved(plane, height, width, below, column, below_u, below_v, steps)
        dy = steps * (dy - _moved(plane, height, width, above, column, above_u, above_v, steps)) / 2.0
        difference = last - here
        weight = unexplained / tl.sqrt(difference * difference + unexplained * unexplained) / steps
        xx += weight * dx * dx
        xy += weight * dx * dy
        yy += weight * dy * dy
        xt += weight * dx * difference
        yt += weight * dy * difference
        plane += area
    mean = 1.0 / (frames - 1).to(tl.float32)
    squares = mean * (xx + yy)
    out = terms + clip * SUMS * area + pixel
    tl.store(out, mean * xx, mask=exists)
    tl.store(out + area, mean * xy, mask=exists)
    out += 2 * tl.cast(area, tl.int64)
    tl.store(out, mean * yy, mask=exists)
    tl.store(out + area, mean * xt, mask=exists)
    out += 2 * tl.cast(area, tl.int64)
    tl.store(out, mean * yt, mask=exists)
    tl.store(out + area, least_trust + squares / (squares + structure), mask=exists)


@triton.jit
def _displacement(u, v, row, column, width, exists):
    pixel = row * width + column
    return tl.load(u + pixel, mask=exists, other=0.0), tl.load(v + pixel, mask=exists, other=0.0)


@triton.jit
def _moved(plane, height, width, row, column, u, v, steps):
    x = within(column.to(tl.float32) - steps * u, width)
    y = within(row.to(tl.float32) - steps * v, height)
    return bilinear(plane, height, width, x, y)


@kernel
def _blur_rows(given, out, count, height, width, radius, middle, falls, TILE: tl.constexpr):
    """The first `count` of each clip's planes under a Gaussian along their rows."""
    image, pixel, exists, row, column = own(height, width, TILE)
    first = (image // count * SUMS + image % count) * height * width
    line = given + first + row * width
    # From each weight to the next is a factor, and from each factor to the next: an exponential for each pixel and
    # distance would take most of the time.
    weight, factor, square = tl.exp(middle), tl.exp(falls), tl.exp(2.0 * falls)
    total = weight * tl.load(line + column, mask=exists, other=0.0)
    for offset in range(1, radius + 1):
        weight *= factor
        factor *= square
        left = tl.load(line + tl.maximum(column - offset, 0), mask=exists, other=0.0)
        total += weight * (left + tl.load(line + tl.minimum(column + offset, width - 1), mask=exists, other=0.0))
    tl.store(out + first + pixel, total, mask=exists)


@triton.jit
def _pair(one, other, exists):
    return tl.load(one, mask=exists, other=0.0) + tl.load(other, mask=exists, other=0.0)


@triton.jit
def _blurred(
    planes, height, width, row, column, exists, radius, middle, falls, COUNT: tl.constexpr, TILE: tl.constexpr
):
    """`COUNT` planes, the first of which begins at `planes`, under a Gaussian along their columns; else zero."""
    area = tl.cast(height, tl.int64) * width
    a = tl.zeros((TILE,), tl.float32)
    b = tl.zeros((TILE,), tl.float32)
    c = tl.zeros((TILE,), tl.float32)
    d = tl.zeros((TILE,), tl.float32)
    e = tl.zeros((TILE,), tl.float32)
    f = tl.zeros((TILE,), tl.float32)
    g = tl.zeros((TILE,), tl.float32)
    # As in `_blur_rows`; here the middle is two rows that are the same, so it begins at half of its weight.
    weight, factor, square = tl.exp(middle) / 2.0, tl.exp(falls), tl.exp(2.0 * falls)
    for offset in range(0, radius + 1):
        above = planes + tl.maximum(row - offset, 0) * width + column
        below = planes + tl.minimum(row + offset, height - 1) * width + column
        a += weight * _pair(above, below, exists)
        b += weight * _pair(above + area, below + area, exists)
        c += weight * _pair(above + 2 * area, below + 2 * area, exists)
        d += weight * _pair(above + 3 * area, below + 3 * area, exists)
        e += weight * _pair(above + 4 * area, below + 4 * area, exists)
        if COUNT == SUMS:
            f += weight * _pair(above + 5 * area, below + 5 * area, exists)
            g += weight * _pair(above + 6 * area, below + 6 * area, exists)
        weight *= tl.where(offset == 0, 2.0, 1.0) * factor
        factor *= square
    return a, b, c, d, e, f, g


@kernel
def _solve(terms, level, flow, sums, frames, height, width, radius, middle, falls, damping, TILE: tl.constexpr):
    """The sums of the guided filter, of the motion after the step that the terms ask for.

    `sums` holds how much each pixel counts in the plane `TRUST`, which is read before it is written.
    """
    clip, pixel, exists, row, column = own(height, width, TILE)
    area = tl.cast(height, tl.int64) * width
    xx, xy, yy, xt, yt, _, _ = _blurred(
        terms + clip * SUMS * area, height, width, row, column, exists, radius, middle, falls, TERMS, TILE
    )
    xx += damping
    yy += damping
    determinant = xx * yy - xy * xy
    motion = flow + clip * 2 * area + pixel
    u = tl.load(motion, mask=exists, other=0.0) + (xy * yt - yy * xt) / determinant
    v = tl.load(motion + area, mask=exists, other=0.0) + (xy * xt - xx * yt) / determinant
    out = sums + clip * SUMS * area + pixel
    weight = tl.load(out + TRUST * area, mask=exists, other=0.0)
    brightness = tl.load(level + ((clip + 1) * frames - 1) * area + pixel, mask=exists, other=0.0)
    shaded = weight * brightness
    tl.store(out, weight, mask=exists)
    tl.store(out + area, shaded, mask=exists)
    tl.store(out + 2 * area, shaded * brightness, mask=exists)
    tl.store(out + 3 * area, weight * u, mask=exists)
    tl.store(out + 4 * area, weight * v, mask=exists)
    tl.store(out + 5 * area, shaded * u, mask=exists)
    tl.store(out + 6 * area, shaded * v, mask=exists)


@kernel
def _fit(sums, lines, height, width, radius, middle, falls, contrast, TILE: tl.constexpr):
    """What the guided filter fits in the window around each pixel: the total weight, two slopes and two offsets."""
    clip, pixel, exists, row, column = own(height, width, TILE)
    area = tl.cast(height, tl.int64) * width
    total, i, ii, u, v, iu, iv = _blurred(
        sums + clip * SUMS * area, height, width, row, column, exists, radius, middle, falls, SUMS, TILE
    )
    total = tl.where(exists, total, 1.0)
    brightness = i / total
    mean_u = u / total
    mean_v = v / total
    variance = ii / total - brightness * brightness
    variance = tl.where(variance < 0.0, 0.0, variance)
    slope_u = (iu / total - brightness * mean_u) / (variance + contrast)
    slope_v = (iv / total - brightness * mean_v) / (variance + contrast)
    out = lines + clip * SUMS * area + pixel
    tl.store(out, total, mask=exists)
    tl.store(out + area, total * slope_u, mask=exists)
    tl.store(out + 2 * area, total * slope_v, mask=exists)
    tl.store(out + 3 * area, total * (mean_u - slope_u * brightness), mask=exists)
    tl.store(out + 4 * area, total * (mean_v - slope_v * brightness), mask=exists)


@kernel
def _follow(lines, level, flow, frames, height, width, radius, middle, falls, TILE: tl.constexpr):
    """The motion that the guided filter gives."""
    clip, pixel, exists, row, column = own(height, width, TILE)
    area = tl.cast(height, tl.int64) * width
    total, slope_u, slope_v, offset_u, offset_v, _, _ = _blurred(
        lines + clip * SUMS * area, height, width, row, column, exists, radius, middle, falls, TERMS, TILE
    )
    total = tl.where(exists, total, 1.0)
    brightness = tl.load(level + ((clip + 1) * frames - 1) * area + pixel, mask=exists, other=0.0)
    out = flow + clip * 2 * area + pixel
    tl.store(out, (slope_u * brightness + offset_u) / total, mask=exists)
    tl.store(out + area, (slope_v * brightness + offset_v) / total, mask=exists)
