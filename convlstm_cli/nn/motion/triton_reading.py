"""What the Triton kernels for motion share: which pixels a program owns, and planes read between pixels.

A program owns `TILE` pixels of one image. Pixels of an image are counted in 32 bits, and images and planes in 64.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator, import-untyped, import-not-found, no-any-return"
# Triton has no types, is not there on every system, and compiles functions whose arguments are pointers and numbers.

from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

from convlstm_cli.nn.motion.reading import CUBIC

TILE = 128
"""Pixels of a program, one for each thread of four warps: so small images fill a GPU, too."""

SLOPE = tl.constexpr(CUBIC)


def kernel(function: Callable[..., Any]) -> Any:
    """A Triton kernel that is compiled once, whatever its numbers are and however its tensors are aligned."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return triton.jit(function, do_not_specialize=[name for name in names if name not in function.__annotations__])


def programs(images: int, height: int, width: int) -> tuple[int]:
    """The grid of a kernel each program of which owns a tile of one of the images."""
    return (images * triton.cdiv(height * width, TILE),)


@triton.jit
def own(height, width, TILE: tl.constexpr):
    """This program's image, its pixels there, whether each exists, and their rows and columns."""
    area = height * width
    tiles = (area + TILE - 1) // TILE
    program = tl.program_id(0)
    pixel = program % tiles * TILE + tl.arange(0, TILE)
    row = pixel // width
    return (program // tiles).to(tl.int64), pixel, pixel < area, row, pixel - row * width


@triton.jit
def within(position, size):
    """A position within [0, size - 1]; 0 for NaN, at which nothing could be read."""
    last = (size - 1).to(tl.float32)
    position = tl.where(position > 0.0, position, 0.0)
    return tl.where(position < last, position, last)


@triton.jit
def bilinear(plane, height, width, x, y):
    """A plane (height, width) at positions within it."""
    left = x.to(tl.int32)
    top = y.to(tl.int32)
    across = x - left.to(tl.float32)
    down = y - top.to(tl.float32)
    right = tl.minimum(left + 1, width - 1)
    above = plane + top * width
    below = plane + tl.minimum(top + 1, height - 1) * width
    first = tl.load(above + left)
    second = tl.load(below + left)
    first += across * (tl.load(above + right) - first)
    second += across * (tl.load(below + right) - second)
    return first + down * (second - first)


@triton.jit
def _inner(d):
    """The weight of cubic convolution at a distance of up to 1."""
    return ((SLOPE + 2.0) * d - (SLOPE + 3.0)) * d * d + 1.0


@triton.jit
def _outer(d):
    """The weight of cubic convolution at a distance from 1 to 2."""
    return SLOPE * (((d - 5.0) * d + 8.0) * d - 4.0)


@triton.jit
def cubic(plane, height, width, x, y):
    """A plane at positions within it, by cubic convolution; beyond its edge is its edge."""
    column = x.to(tl.int32)
    row = y.to(tl.int32)
    across = x - column.to(tl.float32)
    down = y - row.to(tl.float32)
    total = _outer(1.0 + down) * _along(plane + tl.maximum(row - 1, 0) * width, width, column, across)
    total += _inner(down) * _along(plane + row * width, width, column, across)
    total += _inner(1.0 - down) * _along(plane + tl.minimum(row + 1, height - 1) * width, width, column, across)
    return total + _outer(2.0 - down) * _along(plane + tl.minimum(row + 2, height - 1) * width, width, column, across)


@triton.jit
def _along(line, width, column, part):
    total = _outer(1.0 + part) * tl.load(line + tl.maximum(column - 1, 0))
    total += _inner(part) * tl.load(line + column)
    total += _inner(1.0 - part) * tl.load(line + tl.minimum(column + 1, width - 1))
    return total + _outer(2.0 - part) * tl.load(line + tl.minimum(column + 2, width - 1))
