"""`TritonGates` against `EagerGates`: in Triton's interpreter where there is no GPU, on the GPU where there is one."""

import itertools
from collections.abc import Sequence
from typing import Any, get_args

import pytest
import torch
from gate_examples import check_same, guarded, make_example, run
from interpreted import INTERPRETED, interpreter, on_each_device, tl, triton  # noqa: F401  a fixture that is used
from torch import Tensor

from convlstm_cli.nn.cell import PAPER, CellRules
from convlstm_cli.nn.config import GateActivation, Peephole
from convlstm_cli.nn.gates import triton as triton_gates
from convlstm_cli.nn.gates.eager import EagerGates
from convlstm_cli.nn.gates.triton import TritonGates, tile

with pytest.MonkeyPatch.context() as environment:
    if INTERPRETED:  # looked up where a function is decorated
        environment.setenv("TRITON_INTERPRET", "1")

    @triton.jit  # type: ignore[untyped-decorator,unused-ignore]
    def squash(x, tanh, sigma, COUNT: tl.constexpr):  # type: ignore[no-untyped-def,unused-ignore]
        at = tl.arange(0, COUNT)
        value = tl.load(x + at)
        tl.store(tanh + at, triton_gates._tanh(value))
        tl.store(sigma + at, triton_gates._sigma(value, 0.0))


KINDS: tuple[Peephole, ...] = get_args(Peephole)
ACTIVATIONS: tuple[GateActivation, ...] = get_args(GateActivation)


def latin(ones: Sequence[Any], others: Sequence[Any], thirds: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
    """Each of the first with each of the second, with a third that goes round, as in a Latin square.

    All combinations take the interpreter three times as long, and a GPU as many compilations more.
    """
    return [
        (one, other, thirds[(row + column) % len(thirds)])
        for row, one in enumerate(ones)
        for column, other in enumerate(others)
    ]


def compare(
    device: str,
    rules: CellRules = PAPER,
    dtype: torch.dtype = torch.float32,
    size: tuple[int, int, int, int] = (2, 9, 3, 3),
    last: bool = True,
    sums: tuple[bool, bool] = (False, False),
) -> None:
    """`sums` says whether other gates, and a bias, are added to the gates."""
    adds, biased = sums
    example = make_example(rules, dtype, size, channels_last=last, device=device, adds=adds, biased=biased)
    theirs = run(EagerGates(example.peepholes, rules), example)
    with guarded() as guard:
        gates = TritonGates(example.peepholes, rules, dtype, example.c_before, channels_last=last)
        for name in ("_weights", "_grads", "_bias"):
            buffer = getattr(gates, name)
            setattr(gates, name, None if buffer is None else guard(buffer))
        ours = run(gates, example, theirs["activated gates"], guard)
    check_same(ours, theirs)


@on_each_device
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    ("activation", "kind", "rules"), latin(ACTIVATIONS, KINDS, [(None, False), (0.5, True), (0.5, False)])
)
def test_it_computes_what_torch_does(
    device: str, activation: GateActivation, kind: Peephole, rules: tuple[float | None, bool], last: bool
) -> None:
    clip, detach = rules
    compare(device, CellRules(activation, cell_clip=clip, detach_peepholes=detach, peephole=kind), last=last)


@on_each_device
@pytest.mark.parametrize(("dtype", "kind", "last"), latin([torch.bfloat16, torch.float16], KINDS, [True, False]))
def test_in_half_precision(device: str, kind: Peephole, dtype: torch.dtype, last: bool) -> None:
    compare(device, CellRules(peephole=kind), dtype, last=last)


@on_each_device
@pytest.mark.parametrize(
    ("dtype", "kind", "case"),
    latin(
        [torch.float32, torch.bfloat16, torch.float16],
        KINDS,
        [(True, (True, True)), (False, (True, False)), (True, (False, True))],
    ),
)
def test_of_sums(device: str, kind: Peephole, dtype: torch.dtype, case: tuple[bool, tuple[bool, bool]]) -> None:
    last, sums = case
    compare(device, CellRules(peephole=kind, cell_clip=0.5), dtype, last=last, sums=sums)


@on_each_device
@pytest.mark.parametrize(
    ("size", "kind", "last"),
    latin([(1, 1, 1, 1), (3, 3, 17, 2), (2, 40, 1, 5), (1, 64, 9, 9), (2, 150, 2, 2)], KINDS, [True, False]),
)
def test_of_any_size(device: str, kind: Peephole, size: tuple[int, int, int, int], last: bool) -> None:
    compare(device, CellRules(peephole=kind), size=size, last=last, sums=(True, True))


@on_each_device
@pytest.mark.parametrize(("kind", "last"), [("none", True), ("channel", True), ("channel", False), ("full", False)])
def test_several_items_of_the_batch_in_one_program(
    device: str, kind: Peephole, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_gates, "PROGRAMS", 2)
    compare(device, CellRules(peephole=kind), size=(5, 6, 4, 5), last=last, sums=(True, True))  # 3 items and 2


@on_each_device
def test_nan_stays(device: str) -> None:
    rules = CellRules("hard_sigmoid_keras3", cell_clip=1.0)
    c = torch.zeros(1, 4, 1, 1, device=device)
    gates = torch.full((1, 16, 1, 1), torch.nan, device=device)
    h = torch.zeros_like(c)
    TritonGates(None, rules, torch.float32, c, channels_last=True).forward(gates, c, c, h, keep=True)
    for tensor in (gates, c, h):
        assert tensor.isnan().all()


@on_each_device
def test_the_functions_are_exact(device: str) -> None:
    sizes = torch.cat([torch.logspace(-30, 2, 1023), torch.full((1,), 0.625)])
    x = torch.cat([sizes, -sizes]).to(device)
    tanh, sigma = torch.empty_like(x), torch.empty_like(x)
    squash[(1,)](x, tanh, sigma, COUNT=len(x))
    torch.testing.assert_close(tanh.double(), x.double().tanh(), rtol=1e-6, atol=0.0)
    within = x > -80.0  # beyond, what is left has fewer digits
    torch.testing.assert_close(sigma.double()[within], x.double().sigmoid()[within], rtol=1e-5, atol=0.0)


@on_each_device
def test_sums_come_out_the_same_every_time(device: str) -> None:
    def bias() -> Tensor:
        generator = torch.Generator().manual_seed(1)
        frames, gates = (torch.randn(2, n, 9, 9, generator=generator).to(device) for n in (5, 20))
        out = torch.empty_like(gates)
        ours = TritonGates(None, PAPER, torch.float32, frames, channels_last=False)
        ours.backward(gates, frames, frames, (frames, frames), frames.clone(), out)
        return ours.sums().bias

    assert torch.equal(bias(), bias())


def test_tiles_fit() -> None:
    for near, far, last in itertools.product(
        (1, 3, 10, 16, 33, 40, 64, 96, 576, 4096), (1, 5, 64, 4096), (True, False)
    ):
        hidden, positions = (near, far) if last else (far, near)
        channels, places = tile(hidden, positions, channels_last=last)
        assert channels * places <= triton_gates.TILE
        assert channels < 2 * hidden + 16
        assert places < 2 * positions + 16
