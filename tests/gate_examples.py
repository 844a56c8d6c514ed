"""What the tests of all implementations of the gate arithmetic share: examples, guarded buffers, and a comparison."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from convlstm_cli.nn.cell import CellRules, Peepholes
from convlstm_cli.nn.gates import Gates
from convlstm_cli.nn.kinds import PEEPHOLES

Guard = Callable[[Tensor], Tensor]

POISON = {
    torch.float32: (torch.int32, 0x7FC0DEAD),
    torch.bfloat16: (torch.int16, 0x7FD5),
    torch.float16: (torch.int16, 0x7ED5),
    torch.int64: (torch.int64, 0x7FC0DEAD7FC0DEAD),
}
"""A NaN of each type that no arithmetic gives, as bits: what reads it, shows it, and what overwrites it, too."""
MARGIN = 4096
"""Poisoned values before and after each buffer, more than the largest tile of a kernel has."""


@dataclass(frozen=True)
class Example:
    """Random inputs of two steps."""

    peepholes: Peepholes | None
    before: Tensor
    """Gates of the first step before activation, (B, 4*hidden, H, W); `second` those of the next one."""
    second: Tensor
    c_before: Tensor
    grad_h: Tensor
    more_grad_h: Tensor
    grad_c: Tensor
    more: Tensor | None = None
    """Added to the gates of both steps, as `bias` is."""
    bias: Tensor | None = None

    @property
    def fuses(self) -> bool:
        """Whether gates are sums; then c is kept in the type of the gates too, and the backward reads such."""
        return self.more is not None or self.bias is not None


def make_example(
    rules: CellRules,
    dtype: torch.dtype,
    size: tuple[int, int, int, int],
    *,
    channels_last: bool,
    device: str = "cpu",
    adds: bool = False,
    biased: bool = False,
) -> Example:
    """An example with states (B, hidden, H, W) of this `size`, and gates of this type.

    With `adds` and `biased` the gates are sums with other gates and with a bias.
    """
    batch, hidden, height, width = size
    generator = torch.Generator().manual_seed(0)
    order = torch.channels_last if channels_last else torch.contiguous_format

    def draw(channels: int, of: torch.dtype) -> Tensor:
        values = 2.0 * torch.randn(batch, channels, height, width, generator=generator)
        return values.to(device, of).contiguous(memory_format=order)

    make_shape = PEEPHOLES[rules.peephole].shape
    peepholes = None
    if make_shape is not None:
        shape = make_shape(hidden, (height, width))
        peepholes = Peepholes(*torch.randn(3, *shape, generator=generator).to(device))
    c_before, grad_c = draw(hidden, torch.float32), draw(hidden, torch.float32)
    before, second = draw(4 * hidden, dtype), draw(4 * hidden, dtype)
    grad_h, more_grad_h = draw(hidden, dtype), draw(hidden, dtype)
    more = draw(4 * hidden, dtype) if adds else None
    bias = torch.randn(4 * hidden, generator=generator).to(device) if biased else None
    return Example(peepholes, before, second, c_before, grad_h, more_grad_h, grad_c, more, bias)


def run(
    gates: Gates, example: Example, activated: Tensor | None = None, guard: Guard = torch.clone
) -> dict[str, Tensor]:
    """Two steps forward, the second without keeping its gates and over its own cell state, and two backward.

    The backward reads `activated`, or else the gates that the forward kept. Each buffer goes through `guard`, and
    those that are to be written hold poison before.
    """
    inside, again = guard(example.before), guard(example.second)
    c_before, grad_c = guard(example.c_before), guard(example.grad_c)
    grad_h, more = guard(example.grad_h), guard(example.more_grad_h)
    c, h, h_after, out = (guard(poisoned_like(t)) for t in (c_before, grad_h, grad_h, inside))
    added, bias = (None if each is None else guard(each) for each in (example.more, example.bias))
    kept = guard(poisoned_like(h)) if example.fuses else None
    sums_of: dict[str, Tensor | None] = {"more": added, "bias": bias} if example.fuses else {}
    gates.forward(inside, c_before, c, h, keep=True, **sums_of, **({} if kept is None else {"c_kept": kept}))
    after = guard(c)
    gates.forward(again, after, after, h_after, keep=False, **sums_of)
    seen = inside if activated is None else guard(activated)
    states = (guard(c_before.to(h.dtype)), guard(example.more_grad_h)) if example.fuses else (c_before, c)
    gates.backward(seen, *states, (grad_h, more), grad_c, out)
    part = out.clone()
    gates.backward(seen, *states, (more, more), grad_c, out)
    sums = gates.sums()
    assert torch.equal(c_before, example.c_before)
    for given, was in ((added, example.more), (bias, example.bias)):
        assert given is None or was is None or torch.equal(given, was)
    found = {"activated gates": inside, "c": c, "h": h, "c after": after, "h after": h_after, "gradient to c": grad_c}
    found |= {"gradient to the gates": part, "the same after two steps": out, "bias": sums.bias}
    found |= {f"W_c{gate}": gradient for gate, gradient in zip("ifo", sums.peepholes or (), strict=False)}
    if kept is not None:
        found["c that is kept"] = kept
    for name, tensor in found.items():
        assert not tensor.isnan().any(), f"{name} was not written everywhere, or from what is not there"
    return found


def check_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """That two implementations computed the same.

    To one unit in the last place of what is stored, because Triton's interpreter truncates bfloat16 where a GPU rounds.
    """
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert ours[name].dtype == expected.dtype
        unit = torch.finfo(expected.dtype).eps if expected.dtype != torch.float32 else 0.0
        message = functools.partial("{}: {}".format, name)
        torch.testing.assert_close(ours[name], expected, rtol=1e-5 + unit, atol=1e-5, msg=message)


@contextlib.contextmanager
def guarded() -> Iterator[Guard]:
    """Gives a function that copies a tensor into the middle of a larger, poisoned buffer, in the same memory order.

    At the end no poison may have been overwritten.
    """
    buffers: list[tuple[Tensor, int]] = []

    def guard(tensor: Tensor) -> Tensor:
        assert tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
        whole = _poison(tensor.numel() + 2 * MARGIN, tensor.dtype, tensor.device)
        buffers.append((whole, tensor.numel()))
        inside = whole.as_strided(tensor.shape, tensor.stride(), MARGIN)
        return inside.copy_(tensor) if not tensor.isnan().any() else inside

    yield guard
    for whole, count in buffers:
        bits, pattern = POISON[whole.dtype]
        around = torch.cat([whole[:MARGIN], whole[MARGIN + count :]]).view(bits)
        assert (around == pattern).all(), "a kernel wrote outside its buffer"


def _poison(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    bits, pattern = POISON[dtype]
    return torch.full((count,), pattern, dtype=bits, device=device).view(dtype)


def poisoned_like(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and memory order that holds poison."""
    return _poison(tensor.numel(), tensor.dtype, tensor.device).as_strided(tensor.shape, tensor.stride())
